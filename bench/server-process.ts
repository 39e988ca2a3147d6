import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { waitFor } from '../test/support/processes';

/** The service with the baseline beside it, in a process of its own. */
export interface BenchServer {
  readonly url: string;
  /**
   * Runs `work` and tells by how many MiB resident memory rose above what it was before, at its
   * highest.
   */
  memoryGrowth<T>(work: () => Promise<T>): Promise<{ result: T; mib: number }>;
  stop(): Promise<void>;
}

/** On the embedded store; `changes` go over its environment. */
export async function startBenchServer(changes: Readonly<Record<string, string>> = {}): Promise<BenchServer> {
  const dataDir = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'coffer-bench-'));
  const child = fork(join(__dirname, 'server.js'), {
    env: {
      PATH: process.env['PATH'],
      DATA_DIR: dataDir,
      PORT: '0',
      LOG_LEVEL: 'warn',
      RATE_LIMITS: 'off',
      ...changes,
    },
    execArgv: ['--expose-gc'],
    cwd: dataDir,
  });
  const url = await answered<string>(child, 'url');
  await ready(url);
  return {
    url,
    memoryGrowth: async (work) => {
      const before = await ask(child, 'collect');
      const result = await work();
      return { result, mib: ((await ask(child, 'highest')) - before) / 1024 / 1024 };
    },
    stop: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** It listens before its start is done, so that it can say what it waits for. */
async function ready(url: string): Promise<void> {
  await waitFor(
    'the bench server to be ready',
    async () => {
      const answer = await request(`${url}/readyz`);
      await answer.body.dump();
      return answer.statusCode === 200;
    },
    120_000,
  );
}

async function ask(child: ChildProcess, question: 'collect' | 'highest'): Promise<number> {
  child.send(question);
  return answered<number>(child, 'rss');
}

/** What a bench process sends under `key`. */
export function answered<T>(child: ChildProcess, key: string): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('the bench process ended')));
    const listen = (message: Record<string, T>): void => {
      if (!(key in message)) return;
      child.off('message', listen as (message: unknown) => void);
      resolve(message[key]!);
    };
    child.on('message', listen as (message: unknown) => void);
  });
}
