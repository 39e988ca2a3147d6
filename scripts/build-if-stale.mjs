#!/usr/bin/env node
// Builds dist/ when a source is newer than the last build, and does nothing otherwise. Several
// callers at once build once. An image has no sources: what was built for it is all there is.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
// Beside dist/, not in it: a build empties that folder.
const folder = join(root, 'node_modules/.cache/coffer');
const stamp = join(folder, 'built');
const lock = join(folder, 'build.lock');
const INPUTS = ['src', 'nest-cli.json', 'tsconfig.json', 'tsconfig.build.json', 'package.json'];

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return path.endsWith('.spec.ts') ? 0 : stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function isFresh() {
  if (!existsSync(join(root, 'src'))) return true;
  try {
    statSync(join(root, 'dist/main.js'));
    return Number(readFileSync(stamp, 'utf8')) >= Math.max(...INPUTS.map((path) => newest(join(root, path))));
  } catch {
    return false;
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

async function acquire() {
  mkdirSync(folder, { recursive: true });
  for (;;) {
    try {
      return writeFileSync(lock, String(process.pid), { flag: 'wx' });
    } catch {
      if (isHeld()) await sleep(200);
      else rmSync(lock, { force: true });
    }
  }
}

if (!isFresh()) {
  await acquire();
  try {
    if (!isFresh()) {
      // The time before the build: a file that changes while it runs makes the result stale, not
      // fresh.
      const begun = Date.now();
      console.log('building ...');
      const nest = join(root, 'node_modules/@nestjs/cli/bin/nest.js');
      const built = spawnSync(process.execPath, [nest, 'build'], { cwd: root, stdio: 'inherit' });
      if (built.status === 0) writeFileSync(stamp, String(begun));
      else process.exitCode = built.status ?? 1;
    }
  } finally {
    rmSync(lock, { force: true });
  }
}
