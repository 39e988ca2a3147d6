import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
// All modules of the service, so that an import which used the pool would size it first.
import '../../src/app.module';
import { loadConfig } from '../../src/config';

async function main(): Promise<void> {
  const { dataDir, threads } = loadConfig({ newSecret: () => 'a secret of a test that is long enough' });
  const file = join(dataDir, 'file');
  writeFileSync(file, 'content');
  const pipes = Array.from({ length: threads.hashing }, (_, at) => join(dataDir, `pipe-${at}`));
  execFileSync('mkfifo', pipes);
  const held = pipes.map((pipe) => open(pipe, 'r'));
  const late = setTimeout(() => {
    process.stdout.write('the read waits for a hash\n');
    process.exit(1);
  }, 120_000);
  await readFile(file);
  process.stdout.write(`${threads.hashing} slots taken, the file was read\n`);
  clearTimeout(late);
  const writers = pipes.map((pipe) => openSync(pipe, 'w'));
  for (const reader of await Promise.all(held)) await reader.close();
  writers.forEach(closeSync);
  process.exit(0);
}

void main();
