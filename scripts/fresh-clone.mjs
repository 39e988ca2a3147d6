#!/usr/bin/env node
// The README's first promise, tried: clones this repository into a temporary folder and, with nothing of this environment but what
// npm needs, runs `npm install && npm start`, waits until it is ready, ends it as Ctrl-C does, and starts it again on the same data.
// Then `npm ci --omit=dev`, as the image is made. Neither changes a file of the clone.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answerHelp } from './lib/help.mjs';
import { bareEnvironment, freePort, root, untilReady } from './lib/live-service.mjs';

answerHelp(import.meta.url);

const folder = mkdtempSync(join(tmpdir(), 'coffer-clone-'));
const clone = join(folder, 'coffer');
const person = { username: 'stranger', email: 'stranger@example.org', password: 'Correct-Horse-7' };

/** npm's own settings (registry, proxy, certificates) belong to the machine; everything else is left out. */
function machineEnvironment() {
  const npm = Object.entries(process.env).filter(([name]) =>
    /^(npm_config_|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS)/i.test(name),
  );
  return { ...bareEnvironment(), ...Object.fromEntries(npm) };
}

async function started(port) {
  const child = spawn('npm', ['start'], {
    cwd: clone,
    env: { ...machineEnvironment(), PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const url = `http://127.0.0.1:${port}`;
  const ended = once(child, 'exit');
  try {
    await untilReady(url, child, () => output, 180_000);
  } catch (error) {
    process.kill(-child.pid, 'SIGKILL');
    throw error;
  }
  return {
    url,
    output: () => output,
    // A terminal sends SIGINT to the whole group.
    async interrupt() {
      process.kill(-child.pid, 'SIGINT');
      await ended;
    },
  };
}

async function post(url, path, body) {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`POST ${path} answered ${answer.status}: ${await answer.text()}`);
}

function run(command, args, options) {
  const result = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${result.status}`);
}

/** What an installation changes in a clone would be in the next commit of whoever made it. */
function untouched(by) {
  const changed = spawnSync('git', ['status', '--porcelain'], { cwd: clone, encoding: 'utf8' }).stdout;
  if (changed !== '') throw new Error(`${by} changed files of the clone:\n${changed}`);
}

/** As the Dockerfile installs for its last stage. */
function cleanInstall() {
  run('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund'], { cwd: clone, env: machineEnvironment() });
  untouched('npm ci');
  run(join(clone, 'bin/coffer-server'), ['--help'], { stdio: 'ignore' });
}

try {
  run('git', ['clone', '--quiet', root, clone], {});
  run('npm', ['install', '--no-audit', '--no-fund'], { cwd: clone, env: machineEnvironment() });
  untouched('npm install');
  const port = await freePort();
  const first = await started(port);
  await post(first.url, '/register', person);
  await first.interrupt();
  console.log('the first start served, and Ctrl-C ended it');
  const second = await started(port);
  await post(second.url, '/login', { username: person.username, password: person.password });
  await second.interrupt();
  console.log('the second start had the data of the first');
  cleanInstall();
  console.log('npm ci installs what the lock file says');
} catch (error) {
  console.error(`fresh clone: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
