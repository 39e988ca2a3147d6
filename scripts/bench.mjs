#!/usr/bin/env node
// `npm run bench [-- files list records livez start rotation blobs]`: builds the service, compiles the benches with it, and runs them (all without a name).
// BENCH_MIB sets the size of the file (default 4096; of the blob on S3 512), BENCH_DIR the disk that is measured (default the folder for temporary files),
// BENCH_FILES the length of the list (default 10000), `--keys <number>` how many user keys are rotated (default 100000).
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { answerHelp } from './lib/help.mjs';
import { root } from './lib/live-service.mjs';

answerHelp(import.meta.url);

const out = join(root, 'node_modules/.cache/coffer/bench');

function run(args) {
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

run([join(root, 'scripts/build-if-stale.mjs')]);
run([join(root, 'node_modules/typescript/bin/tsc'), '-p', 'bench/tsconfig.json', '--outDir', out]);
run([join(out, 'bench/main.js'), root, ...process.argv.slice(2)]);
