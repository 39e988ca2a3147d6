import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
// As src/cli/coffer-server.ts and src/main.ts begin, and then all modules of the service: the
// store's library uses the pool when it is loaded.
import '../../src/config/thread-pool';
import '../../src/app.module';
import { loadConfig } from '../../src/config';

async function main(): Promise<void> {
  const { dataDir, threads } = loadConfig({ newSecret: () => 'a secret of a test that is long enough' });
  const file = join(dataDir, 'file');
  writeFileSync(file, 'content');
  const pipes = Array.from({ length: threads.hashing }, (_, at) => join(dataDir, `pipe-${at}`));
  execFileSync('mkfifo', pipes);
  const held = pipes.map((pipe) => open(pipe, 'r'));
  // Opened for both directions, so that this neither waits for a reader nor leaves one waiting.
  const letGo = async (said: string): Promise<void> => {
    process.stdout.write(`${said}\n`);
    const ends = pipes.map((pipe) => openSync(pipe, 'r+'));
    for (const reader of await Promise.all(held)) await reader.close();
    ends.forEach(closeSync);
    process.exit(0);
  };
  const late = setTimeout(() => void letGo('the read waits for a hash'), 60_000);
  await readFile(file);
  clearTimeout(late);
  await letGo(`${threads.hashing} slots taken, the file was read`);
}

void main();
