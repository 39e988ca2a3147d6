// The built service on a free loopback port with a temporary data folder and nothing of the caller's environment.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The variables without which no process starts, and none that could configure the service. */
export function bareEnvironment() {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'SystemRoot'];
  return Object.fromEntries(kept.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** Resolves when the service is ready. `stop()` ends it and removes its data. */
export async function startLiveService(env = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'coffer-live-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, [join(root, 'dist/main.js')], {
    env: { ...bareEnvironment(), RATE_LIMITS: 'off', ...env, HOST: '127.0.0.1', PORT: String(port), DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Not the project folder: a .env of the developer lies there.
    cwd: dataDir,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const exited = once(child, 'exit');
  const die = () => child.kill('SIGKILL');
  process.once('exit', die);
  await untilReady(url, child, () => output);
  return {
    url,
    dataDir,
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      process.off('exit', die);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export async function untilReady(url, child, output, withinMs = 30_000) {
  const deadline = Date.now() + withinMs;
  while (child.exitCode === null && Date.now() < deadline) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.status === 200) return;
    await sleep(50);
  }
  child.kill('SIGKILL');
  throw new Error(`the service did not become ready:\n${output()}`);
}

/** The 6-digit code in the latest mail of the outbox folder. */
export function latestMailedCode(dataDir) {
  const folder = join(dataDir, 'outbox');
  const file = readdirSync(folder)
    .filter((name) => name.endsWith('.eml'))
    .sort()
    .at(-1);
  const [, body = ''] = readFileSync(join(folder, file), 'utf8').split(/\r?\n\r?\n/, 2);
  const code = /\b\d{6}\b/.exec(body)?.[0];
  if (!code) throw new Error(`${file} holds no code`);
  return code;
}
