#!/usr/bin/env node
// `npm test`: installs the parts, runs the checks, builds, runs all jest suites and the Postman walk against a live service.
// A spec file that failed runs once more, alone; where it passes then, a line says so.
// The last line is `N passed, N failed` (with `, N skipped` where suites were skipped; the lines above it say which and why).
//   --long          the long forms of kills, fuzzing and soak, the suites on Node 24, and the two commands in a fresh clone (npm run test:long)
//   --durations     writes how long each spec file took to test/durations.json, by which they are ordered
//   CI=true         a missing part is a failure
//   COFFER_VECTORS  folder of published test vectors; without it those suites are skipped
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answerHelp } from './lib/help.mjs';
import { root } from './lib/live-service.mjs';
import { keepDurations } from './lib/durations.mjs';
import { installLongParts, installParts } from './parts.mjs';

answerHelp(import.meta.url);

const long = process.argv.includes('--long');
const keepsDurations = process.argv.includes('--durations');
const strict = process.env.CI === 'true';
const begun = Date.now();
const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
/** Spec files that failed beside others and passed by themselves. */
const passedAlone = [];
/** reason → names of suites */
const skips = new Map();

function count(name, ok) {
  total[ok ? 'passed' : 'failed'] += 1;
  if (!ok) failures.push(name);
}

function say(line) {
  const seconds = String(Math.round((Date.now() - begun) / 1000)).padStart(4);
  console.log(`[${seconds} s] ${line}`);
}

function run(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
    });
    running.add(child);
    child.on('error', () => resolve(127));
    child.on('exit', (code) => {
      running.delete(child);
      resolve(code ?? 1);
    });
  });
}

/** Whoever ends this process ends what it started. */
const running = new Set();
process.once('SIGTERM', () => {
  for (const child of running) child.kill('SIGTERM');
  process.exit(143);
});

const bin = (path) => join(root, 'node_modules', path);

async function parts() {
  say('parts: OpenBao, SecantusDB, AWS Encryption SDK for Python');
  const reasons = await installParts(say);
  for (const [part, reason] of Object.entries(reasons)) {
    say(`missing part: ${part} (${reason})`);
    if (strict) count(`part ${part}`, false);
  }
  if (!long) return;
  const missing = await installLongParts(say);
  for (const [part, reason] of Object.entries(missing)) say(`missing part of the long form: ${part} (${reason})`);
}

async function check(name, path, args) {
  say(`check: ${name}`);
  const ok = (await run(process.execPath, [path, ...args])) === 0;
  count(`check: ${name}`, ok);
  return ok;
}

async function checks() {
  await check('formatting', bin('prettier/bin/prettier.cjs'), ['--check', '.', '--log-level', 'warn']);
  await Promise.all([
    check('types', bin('typescript/bin/tsc'), ['--noEmit', '-p', 'tsconfig.json']),
    check('lint', bin('eslint/bin/eslint.js'), ['.', '--max-warnings', '0']),
  ]);
}

async function build() {
  say('build');
  const ok = (await run(process.execPath, [join(root, 'scripts/build-if-stale.mjs')])) === 0;
  count('build', ok);
  return ok;
}

const SUITES = { COFFER_BUILT: '1', COFFER_LONG: long ? '1' : '', NODE_NO_WARNINGS: '1' };

async function jest({ node = process.execPath, env = SUITES, label = '' } = {}) {
  const all = await runJest(node, env, []);
  if (all === undefined) return;
  if (keepsDurations) keepDurations(all.testResults);
  const failed = all.testResults.filter(({ status }) => status === 'failed').map(({ name }) => name);
  const again = failed.length === 0 ? undefined : await runAlone(node, env, failed, label);
  const isSeenAgain = ({ name }) => again?.testResults.some((file) => file.name === name);
  readJest([...all.testResults.filter((file) => !isSeenAgain(file)), ...(again?.testResults ?? [])], label);
  if (!all.success && failed.length === 0) count('jest ended with an error', false);
}

/** What jest says in JSON; undefined, and counted as a failure, where it says nothing. */
async function runJest(node, env, more) {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-test-'));
  const file = join(folder, 'jest.json');
  const args = ['--ci', '--json', `--outputFile=${file}`, '--testLocationInResults=false', ...more];
  await run(node, [bin('jest/bin/jest.js'), ...args], env);
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    count(`jest gave no results: ${error.message}`, false);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A second look at spec files that failed beside others. One that fails again has failed; one that passes is named at the end. */
async function runAlone(node, env, files, label) {
  say(`jest once more, one file at a time: ${files.map(shortName).join(', ')}`);
  const again = await runJest(node, env, ['-i', '--runTestsByPath', ...files]);
  for (const { status, name } of again?.testResults ?? []) {
    if (status === 'passed') passedAlone.push(`${label}${shortName(name)}`);
  }
  return again;
}

const shortName = (path) => path.replace(`${root}/`, '');

function readJest(files, label) {
  for (const file of files) {
    const name = `${label}${shortName(file.name)}`;
    if (file.assertionResults.length === 0 && file.status === 'failed') count(`${name} could not run`, false);
    for (const test of file.assertionResults) {
      const title = `${name}: ${[...test.ancestorTitles, test.title].join(' > ')}`;
      if (test.status === 'passed') total.passed += 1;
      else if (test.status === 'failed') count(title, false);
      else skipped(title, name);
    }
  }
}

function skipped(title, file) {
  const reason = /\[skipped: ([^\]]+)\]/.exec(title)?.[1];
  if (reason === undefined) return count(`${title}: skipped, and its title gives no reason`, false);
  total.skipped += 1;
  if (!skips.has(reason)) skips.set(reason, new Set());
  skips.get(reason).add(file);
}

/** The suites once more on the runtime of the image, in their short form. */
async function jestOnNode24() {
  const node = join(root, '.parts/node24/node_modules/node/bin/node');
  if (!existsSync(node)) {
    say('skipped: the suites on Node 24, which is not there');
    total.skipped += 1;
    return;
  }
  say('jest on Node 24: the suites in their short form');
  const env = { COFFER_BUILT: '1', COFFER_LONG: '', NODE_NO_WARNINGS: '1' };
  await jest({ node, env, label: 'on Node 24: ' });
}

async function postman() {
  say('newman: the walk of the Postman collection against a live service');
  try {
    const { runWalk } = await import('./newman.mjs');
    const { passed, failed } = await runWalk();
    total.passed += passed;
    for (const failure of failed) count(`newman: ${failure}`, false);
  } catch (error) {
    count(`newman: ${error.message}`, false);
  }
}

async function freshClone() {
  say('the two commands in a fresh clone');
  count('fresh clone', (await run(process.execPath, [join(root, 'scripts/fresh-clone.mjs')])) === 0);
}

function summary() {
  console.log('');
  for (const [reason, files] of skips) console.log(`skipped (${reason}): ${[...files].join(', ')}`);
  // What was asked for and did not run is no pass.
  if (process.env.COFFER_VECTORS && [...skips.keys()].some((reason) => reason.includes('COFFER_VECTORS'))) {
    count('COFFER_VECTORS is set, but suites over vectors were skipped', false);
  }
  for (const file of passedAlone) console.log(`failed at first, passed alone: ${file}`);
  for (const failure of failures) console.log(`failed: ${failure}`);
  const rest = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`${total.passed} passed, ${total.failed} failed${rest}`);
  process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
}

await parts();
await checks();
if (await build()) {
  await check('the OpenAPI document', join(root, 'scripts/check-openapi.mjs'), []);
  say(`jest: unit, contract, architecture, end to end, faults (${long ? 'long' : 'short'} form)`);
  await jest();
  await postman();
  if (long) await jestOnNode24();
  if (long) await freshClone();
}
summary();
