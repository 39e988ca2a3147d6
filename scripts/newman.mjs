#!/usr/bin/env node
// Runs the walk of the Postman collection with newman against a fresh live service, twice on the same data. The walk is in parts: between two of them a code
// arrives by mail, which a person pastes into the environment's `otp_code` and which is read from the outbox folder here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import newman from 'newman';
import { answerHelp } from './lib/help.mjs';
import { latestMailedCode, root, startLiveService } from './lib/live-service.mjs';

answerHelp(import.meta.url);

const read = (name) => JSON.parse(readFileSync(join(root, 'postman', name), 'utf8'));

function runFolder(collection, environment, folder) {
  return new Promise((resolve, reject) => {
    newman.run({ collection, environment, folder, reporters: [], timeoutRequest: 30_000 }, (error, summary) =>
      error ? reject(error) : resolve(summary),
    );
  });
}

function setVariable(environment, key, value) {
  const values = environment.values.filter((variable) => variable.key !== key);
  return { ...environment, values: [...values, { key, value, enabled: true }] };
}

/** Resolves with how many assertions passed and the names of those that failed. */
export async function runWalk() {
  const collection = read('coffer.postman_collection.json');
  const service = await startLiveService();
  try {
    const first = await walked(collection, service);
    const second = await walked(collection, service);
    return {
      passed: first.passed + second.passed,
      failed: [...first.failed, ...second.failed.map((failure) => `second run: ${failure}`)],
    };
  } finally {
    await service.stop();
  }
}

async function walked(collection, service) {
  const walk = collection.item.find((item) => item.name === 'Walk');
  const result = { passed: 0, failed: [] };
  let environment = setVariable(read('coffer.postman_environment.json'), 'base_url', service.url);
  for (const [index, part] of walk.item.entries()) {
    if (index > 0) environment = setVariable(environment, 'otp_code', latestMailedCode(service.dataDir));
    const summary = await runFolder(collection, environment, part.name);
    const failures = summary.run.failures.map(
      ({ error, source }) => `${source?.name}: ${error.test ?? ''} ${error.message}`,
    );
    result.passed += summary.run.stats.assertions.total - summary.run.stats.assertions.failed;
    result.failed.push(...failures);
    environment = summary.environment.toJSON();
  }
  return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed } = await runWalk();
  for (const failure of failed) console.log(`failed: ${failure}`);
  console.log(`${passed} passed, ${failed.length} failed`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
