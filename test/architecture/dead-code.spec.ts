import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

const src = join(__dirname, '../../src');

/** What only tests use, with the reason why it stands in src all the same. */
const FOR_TESTS_ALONE: Readonly<Record<string, string>> = {
  masterKeyInstance: 'a master key beside that of the installation, as a test composes it',
  verifyChain: 'the verification of the audit log, which test/faults runs after each crash',
  wallOf: 'names the check that refused a message; callers learn one error for all of them',
  MOST_PARTS: 'the limit of S3 that the plan of parts is tested against',
};

/** A word in a comment is no use. A `//` inside a string, as in a URL, begins none. */
const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');

const files = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /(?<!\.spec)\.ts$/.test(entry.name))
  .map((entry) => {
    const path = join(entry.parentPath, entry.name);
    return { path: relative(src, path), text: withoutComments(readFileSync(path, 'utf8')) };
  });

/** An export of an index passes something on and uses nothing. */
const sources = files.filter(({ path }) => !path.endsWith('index.ts'));
const words = sources.map(({ path, text }) => ({ path, used: new Set(text.match(/[A-Za-z_$][\w$]*/g)) }));

describe('the exports of src', () => {
  const exported = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/^export (?:abstract class|class|async function|function|const|interface|type) ([\w$]+)/gm)].map(
      ([, name = '']) => ({ path, name, uses: text.split(new RegExp(`\\b${name.replace('$', '\\$')}\\b`)).length - 2 }),
    ),
  );

  it('are found by this test at all', () => {
    expect(exported.length).toBeGreaterThan(1000);
  });

  it('are used by something that ships', () => {
    const unused = exported.filter(
      ({ path, name, uses }) =>
        uses === 0 && !words.some((file) => file.path !== path && file.used.has(name)) && !(name in FOR_TESTS_ALONE),
    );
    expect(unused.map(({ path, name }) => `${path}: ${name}`)).toEqual([]);
  });

  it('are excepted from that only while nothing that ships uses them', () => {
    const used = Object.keys(FOR_TESTS_ALONE).filter((name) => words.filter((file) => file.used.has(name)).length > 1);
    expect(used).toEqual([]);
  });
});
