#!/usr/bin/env node
// Writes openapi.json from the OpenAPI document of a running service. `npm run openapi` builds and starts one for it;
// `--url URL` asks one that runs; `--check` compares with the file, writes nothing and exits with 1 where they differ.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { answerHelp } from './lib/help.mjs';
import { root, startLiveService } from './lib/live-service.mjs';

answerHelp(import.meta.url);

const FILE = join(root, 'openapi.json');

/** The only part of the document that the environment decides is the server's URL: the file has that of a first start. */
const SERVERS = [{ url: 'http://127.0.0.1:8000' }];

async function generate(url) {
  const document = await (await fetch(`${url}/openapi.json`)).json();
  return `${JSON.stringify({ ...document, servers: SERVERS }, undefined, 2)}\n`;
}

function committed() {
  try {
    // A checkout on Windows may have other line ends.
    return readFileSync(FILE, 'utf8').replaceAll('\r\n', '\n');
  } catch {
    return '';
  }
}

const { values: options } = parseArgs({ options: { url: { type: 'string' }, check: { type: 'boolean' } } });
const service = options.url ? undefined : await startLiveService();
try {
  const text = await generate(options.url ?? service.url);
  if (!options.check) writeFileSync(FILE, text);
  else if (committed() !== text) {
    console.error('openapi.json is not the document that the service makes; run: npm run openapi');
    process.exitCode = 1;
  }
} finally {
  await service?.stop();
}
