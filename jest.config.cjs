/** Transpile only: types are checked by `npm run check`, so that a test run spends its time on tests. */
const transpile = (parser) => [
  '@swc/jest',
  {
    jsc: {
      parser,
      target: 'es2022',
      // As tsconfig.json has it: Nest and class-validator read what the decorators leave behind.
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
      keepClassNames: true,
    },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  },
];

module.exports = {
  rootDir: '.',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testEnvironment: 'node',
  testRegex: '\\.spec\\.ts$',
  transform: {
    '^.+\\.ts$': transpile({ syntax: 'typescript', decorators: true }),
    '^.+\\.js$': transpile({ syntax: 'ecmascript' }),
  },
  // otplib's default plug-ins are ES modules, which jest on Node 20 cannot require as Node itself does.
  transformIgnorePatterns: ['/node_modules/(?!@noble/|@scure/)'],
  // `import()` names the compiled file, as Node wants it; its source is a .ts file.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testSequencer: '<rootDir>/test/support/sequencer.cjs',
  setupFiles: ['<rootDir>/test/support/setup.ts'],
  testTimeout: 60000,
  // One more than the two processors of the smallest machine: many suites wait most of their time, for a deadline, a lease or a restart.
  maxWorkers: 3,
  // A worker keeps something of each file that it ran. One that has grown starts anew, or collecting garbage takes most of its time.
  workerIdleMemoryLimit: '1GB',
};
