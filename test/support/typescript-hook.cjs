// Lets a child process that a test starts with `node --require` load the sources as they are,
// without a build. What was translated is kept under node_modules/.cache by the hash of the source:
// tests that kill start many processes, and the compiler takes seconds to load.
const { createHash } = require('node:crypto');
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '../..');
const cache = join(root, 'node_modules/.cache/coffer-typescript-hook');
const config = readFileSync(join(root, 'tsconfig.json'), 'utf8');
mkdirSync(cache, { recursive: true });

require.extensions['.ts'] = (module, fileName) => {
  module._compile(translated(fileName), fileName);
};

// A program without a configuration of its own keeps the deadlines of the test that starts it.
const factor = process.env['COFFER_DEADLINE_FACTOR'];
if (factor) require('../../src/kernel/deadlines.ts').stretchDeadlines(Number(factor));

function translated(fileName) {
  const source = readFileSync(fileName, 'utf8');
  const kept = join(cache, `${createHash('sha256').update(config).update('\0').update(source).digest('hex')}.js`);
  try {
    return readFileSync(kept, 'utf8');
  } catch {
    const text = translate(source, fileName);
    // By a rename, because other processes translate the same file at the same time.
    writeFileSync(`${kept}.${process.pid}`, text);
    renameSync(`${kept}.${process.pid}`, kept);
    return text;
  }
}

function translate(source, fileName) {
  const ts = require('typescript');
  const { compilerOptions } = JSON.parse(config);
  const { options } = ts.convertCompilerOptionsFromJson({ ...compilerOptions, types: [], sourceMap: false }, root);
  return ts.transpileModule(source, { compilerOptions: options, fileName }).outputText;
}
