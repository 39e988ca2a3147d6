import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { blobFigures } from './blob-stores';
import { fileFigures } from './files';
import { Figure, printFigures } from './figures';
import { listFigure } from './list';
import { livezFigure, recordFigure } from './records';
import { rotationFigures } from './rotation';
import { startBenchServer } from './server-process';
import { account, signUp } from './session';
import { startFigure } from './start-time';

/**
 * Arguments: the project folder, then any of `files`, `list`, `records`, `livez`, `start`,
 * `rotation`, `blobs`; all without any. `BENCH_MIB` sets the size of the file and of the blob on
 * S3, `BENCH_FILES` how many files there are in the list, `--keys=<number>` how many user keys are
 * rotated.
 */
async function main(): Promise<void> {
  const [root = process.cwd(), ...rest] = process.argv.slice(2);
  const { values, positionals: chosen } = parseArgs({
    args: rest,
    allowPositionals: true,
    options: { keys: { type: 'string', default: '100000' } },
  });
  const wants = (name: string): boolean => chosen.length === 0 || chosen.includes(name);
  const mib = (otherwise: number): number => Number(process.env['BENCH_MIB'] ?? otherwise);
  const figures: Figure[] = [];
  if (wants('start')) figures.push(await startFigure(root));
  if (['files', 'list', 'records', 'livez'].some(wants)) figures.push(...(await serverFigures(wants, mib(4096))));
  if (wants('blobs')) figures.push(...(await blobFigures(mib(512))));
  if (wants('rotation')) figures.push(...(await rotationFigures(Number(values.keys))));
  printFigures(figures);
  keep(root, figures);
  process.exitCode = figures.every((figure) => figure.holds !== false) ? 0 : 1;
}

async function serverFigures(wants: (name: string) => boolean, mib: number): Promise<Figure[]> {
  const server = await startBenchServer();
  try {
    const token = await signUp(server.url, account('bench'));
    return [
      ...(wants('records') ? [await recordFigure(server, token)] : []),
      ...(wants('livez') ? [await livezFigure(server)] : []),
      ...(wants('list') ? [await listFigure(server, token, Number(process.env['BENCH_FILES'] ?? '10000'))] : []),
      ...(wants('files') ? await fileFigures(server, token, mib) : []),
    ];
  } finally {
    await server.stop();
  }
}

function keep(root: string, figures: readonly Figure[]): void {
  const machine = {
    node: process.version,
    cpus: cpus().length,
    cpu: cpus()[0]?.model,
    memory: totalmem(),
    kernel: release(),
  };
  const folder = join(root, 'bench/results');
  mkdirSync(folder, { recursive: true });
  const at = new Date().toISOString();
  writeFileSync(
    join(folder, `${at.replace(/[:.]/g, '-')}.json`),
    JSON.stringify({ at, machine, figures }, undefined, 2),
  );
}

void main();
