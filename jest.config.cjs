/** Transpile only: types are checked by `npm run check`, so that a test run spends its time on tests. */
const { compilerOptions } = require('./tsconfig.json');

const transpile = (options) => [
  'ts-jest',
  { tsconfig: { ...compilerOptions, isolatedModules: true, ...options }, diagnostics: false },
];

module.exports = {
  rootDir: '.',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testEnvironment: 'node',
  testRegex: '\\.spec\\.ts$',
  transform: {
    '^.+\\.ts$': transpile({}),
    '^.+\\.js$': transpile({ module: 'CommonJS', moduleResolution: 'Node10', allowJs: true }),
  },
  // otplib's default plug-ins are ES modules, which jest on Node 20 cannot require as Node itself does.
  transformIgnorePatterns: ['/node_modules/(?!@noble/|@scure/)'],
  setupFiles: ['<rootDir>/test/support/setup.ts'],
  testTimeout: 60000,
  maxWorkers: 2,
};
