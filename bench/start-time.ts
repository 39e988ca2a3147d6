import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { Figure, median, round } from './figures';

const STARTS = 5;

/**
 * From `node dist/main.js` to the first 200 of /readyz: the first start on an empty folder, and the
 * later ones.
 */
export async function startFigure(root: string): Promise<Figure> {
  const dataDir = mkdtempSync(join(tmpdir(), 'coffer-start-'));
  const times: number[] = [];
  for (let index = 0; index <= STARTS; index += 1) times.push(await timeOneStart(root, dataDir));
  rmSync(dataDir, { recursive: true, force: true });
  const [first = 0, ...later] = times;
  return {
    name: 'start to ready',
    measured: `${round(median(later))} s (${round(first)} s on an empty data folder)`,
    promised: 'under 2 s',
    holds: median(later) < 2 && first < 2,
    raw: { first_s: first, later_s: later },
  };
}

async function timeOneStart(root: string, dataDir: string): Promise<number> {
  const port = await freePort();
  const begun = performance.now();
  const child = spawn(process.execPath, [join(root, 'dist/main.js')], {
    env: { PATH: process.env['PATH'], DATA_DIR: dataDir, PORT: String(port), LOG_LEVEL: 'warn' },
    stdio: 'ignore',
    cwd: dataDir,
  });
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new Error('the service ended before it was ready');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const seconds = (performance.now() - begun) / 1000;
  child.kill('SIGTERM');
  await once(child, 'exit');
  return seconds;
}

async function isReady(port: number): Promise<boolean> {
  try {
    const answer = await request(`http://127.0.0.1:${port}/readyz`);
    await answer.body.dump();
    return answer.statusCode === 200;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
