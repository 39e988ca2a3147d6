#!/usr/bin/env node
// Lints the OpenAPI document of the built service by the recommended rules of Redocly and Spectral (redocly.yaml, .spectral.yaml).
// Exit code: 0 when both find no error.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answerHelp } from './lib/help.mjs';
import { root, startLiveService } from './lib/live-service.mjs';

answerHelp(import.meta.url);

const LINTERS = [
  { name: 'redocly', path: '@redocly/cli/bin/cli.js', args: (file) => ['lint', file, '--config', 'redocly.yaml'] },
  {
    name: 'spectral',
    path: '@stoplight/spectral-cli/dist/index.js',
    args: (file) => ['lint', file, '--ruleset', '.spectral.yaml', '--fail-severity', 'error'],
  },
];

// Nothing is reported to anybody and nothing is looked up: a check has to work without a network.
const QUIET = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', DO_NOT_TRACK: '1' };

function lint(file) {
  return LINTERS.filter(({ name, path, args }) => {
    const program = join(root, 'node_modules', path);
    const env = { ...process.env, ...QUIET };
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args(file)], {
      cwd: root,
      env,
      encoding: 'utf8',
    });
    if (status !== 0) console.error(`${name}:\n${stdout}${stderr}`);
    return status !== 0;
  });
}

const folder = mkdtempSync(join(tmpdir(), 'coffer-openapi-'));
const service = await startLiveService();
try {
  const file = join(folder, 'openapi.json');
  writeFileSync(file, await (await fetch(`${service.url}/openapi.json`)).text());
  const failed = lint(file);
  console.log(
    failed.length === 0
      ? 'the OpenAPI document has no errors'
      : `errors by ${failed.map(({ name }) => name).join(', ')}`,
  );
  process.exitCode = failed.length === 0 ? 0 : 1;
} finally {
  await service.stop();
  rmSync(folder, { recursive: true, force: true });
}
