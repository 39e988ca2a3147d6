#!/usr/bin/env node
// Makes a frozen installation of a release: the data folder that it leaves, and a manifest of what must be read from it for ever.
//   node scripts/freeze-installation.mjs RELEASE NAME
// RELEASE is a folder with the built release (dist and node_modules), NAME the folder under test/vectors/installations.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { caller, fill } from './lib/frozen-contents.mjs';
import { bareEnvironment, freePort, root, untilReady } from './lib/live-service.mjs';
import { answerHelp } from './lib/help.mjs';

answerHelp(import.meta.url);

/** Dies when the first batch of the user keys is under the new version. */
const FAILPOINT = 'rotation.mid-batch';
/** Secrets of this test data and of nothing else. */
const ENV = {
  COFFER_ROOT_KEY: 'frozen-root-key-of-test-data-0000000000001',
  JWT_SECRET: 'frozen-token-secret-of-test-data-0000000001',
  PEPPER: 'frozen-pepper-of-test-data-000000000000001',
  RATE_LIMITS: 'off',
  TRASH_DAYS: '365',
  UPLOAD_EXPIRY_HOURS: '8760',
};

async function start(release, dataDir, more = {}) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { ...bareEnvironment(), ...ENV, ...more, DATA_DIR: dataDir, HOST: '127.0.0.1', PORT: String(port) };
  const child = spawn(process.execPath, [join(release, 'dist/main.js')], { env, cwd: dataDir });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  process.once('exit', () => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  await untilReady(url, child, () => output, 120_000);
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  return { url, exited, stop };
}

/** One process begins a rotation and dies in it; the other one pauses it before its lease ends. */
async function pausedRotation(release, dataDir, admin, service) {
  const dying = await start(release, dataDir, { COFFER_FAILPOINT: FAILPOINT });
  await caller(dying.url, admin.token)
    .post('/rotate-master-key')
    .catch(() => undefined);
  await dying.exited;
  const own = caller(service.url, admin.token);
  const { id } = (await own.get('/rotations?limit=1')).items[0];
  await own.send('POST', `/rotations/${id}/pause`);
  const paused = await own.get(`/rotations/${id}`);
  if (paused.state !== 'paused') throw new Error(`the rotation is ${paused.state}`);
  return paused;
}

async function publicKey(release, dataDir) {
  const env = { ...bareEnvironment(), ...ENV, DATA_DIR: dataDir };
  const command = [join(release, 'dist/cli/coffer-server.js'), 'receipts', 'public-key'];
  const child = spawn(process.execPath, command, { env, cwd: dataDir });
  let text = '';
  child.stdout.on('data', (part) => (text += part));
  await once(child, 'close');
  return text;
}

/** Copies the data folder. The database is mostly empty pages, so it is compressed. */
function keep(dataDir, folder) {
  const isLeft = (path) => !/\/(lock\.mdb|outbox|secrets)$/.test(path);
  cpSync(dataDir, join(folder, 'data-dir'), { recursive: true, filter: isLeft });
  for (const name of readdirSync(join(folder, 'data-dir'), { recursive: true })) {
    if (!name.endsWith('.mdb')) continue;
    const path = join(folder, 'data-dir', name);
    writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
    rmSync(path);
  }
}

async function main([release, name, ...rest]) {
  if (!release || !name || rest.length > 0) throw new Error('give the folder of a built release and a name');
  const folder = join(root, 'test/vectors/installations', name);
  if (existsSync(folder)) throw new Error(`${folder} is there already: a frozen installation is never made again`);
  const dataDir = mkdtempSync(join(tmpdir(), 'coffer-frozen-'));
  const from = resolve(release);
  const service = await start(from, dataDir);
  const { admin, contents } = await fill(service.url);
  const paused = await pausedRotation(from, dataDir, admin, service);
  const frozen_at = Date.now();
  await service.stop();
  const public_key = await publicKey(from, dataDir);
  keep(dataDir, folder);
  const manifest = { name, frozen_at, env: ENV, ...contents, paused, public_key };
  writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  rmSync(dataDir, { recursive: true, force: true });
}

await main(process.argv.slice(2));
