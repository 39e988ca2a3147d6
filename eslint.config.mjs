// Type-aware lint. The rules that are switched on beyond the presets each stop a fault that a vault cannot afford:
// a promise that nobody awaits is a write that nobody waited for, an `any` is a secret without a type.
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      'dist/**',
      'node_modules/**',
      'data/**',
      '.parts/**',
      'coverage/**',
      'test/clients/**',
      '**/*.mjs',
      '**/*.cjs',
      '**/*.js',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', { max: 6 }],
      // Prettier wraps code. Comments wrap at 100 columns; an example of the API document stays on its line.
      'max-len': [
        'error',
        {
          code: 1000,
          comments: 100,
          ignoreUrls: true,
          ignoreTrailingComments: true,
          ignorePattern: '@example|eslint-|https?:',
        },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: ':matches(MethodDefinition, PropertyDefinition)[accessibility="private"][kind!="constructor"]',
          message: 'Private members are #private; `private` is for parameters of constructors.',
        },
        { selector: "CallExpression[callee.name='forwardRef']", message: 'A cycle between modules is a design fault.' },
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'class-validator',
              importNames: ['IsOptional', 'ValidateIf'],
              message: 'IsOptional lets null pass all rules: use MayBeAbsent, or MayBeNull where null clears a value.',
            },
          ],
        },
      ],
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-imports': 'off',
      // DTO classes describe the shape of an answer to Swagger; nothing asks whether an answer was made by their constructor.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // `const { left_out: _, ...rest } = row` is how a field is taken out of a row.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ['test/**/*.ts', 'src/**/*.spec.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
);
