// Lets a child process that a test starts with `node --require` load the sources as they are, without a build.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const ts = require('typescript');

const { compilerOptions } = require(join(__dirname, '../../tsconfig.json'));
const { options } = ts.convertCompilerOptionsFromJson({ ...compilerOptions, types: [] }, join(__dirname, '../..'));

require.extensions['.ts'] = (module, fileName) => {
  const { outputText } = ts.transpileModule(readFileSync(fileName, 'utf8'), { compilerOptions: options, fileName });
  module._compile(outputText, fileName);
};
