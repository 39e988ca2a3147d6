import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CollectionDefinition, type Doc, SCHEMA } from '../../src/store';
import { Layout } from '../../src/store/embedded/layout';
import { RowShape } from '../../src/store/row-shape';

const sources = join(__dirname, '../../src');
/** By schema number. What a released number has is never edited: a change of indexes adds an entry, and raises SCHEMA. */
const recorded = JSON.parse(readFileSync(join(__dirname, 'index-signatures.json'), 'utf8')) as Record<string, unknown>;

function definitions(): CollectionDefinition<Doc>[] {
  const paths = readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.spec.ts'))
    .map((path) => join(sources, path))
    .filter((path) => /=\s*defineCollection\b/.test(readFileSync(path, 'utf8')));
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- found by looking, so that none can be forgotten
  const exported = paths.flatMap((path) => Object.values(require(path) as Record<string, unknown>));
  return exported.filter(isDefinition);
}

const isDefinition = (value: unknown): value is CollectionDefinition<Doc> =>
  typeof value === 'object' && value !== null && 'plaintext' in value && 'indexes' in value && 'fields' in value;

/** `unique:field,field` or `many:field` by the name of the index, the one for expiry included. */
function signatures(): Record<string, Record<string, string>> {
  const byCollection = definitions().map((definition): [string, Record<string, string>] => {
    const { declared } = new Layout(new RowShape(definition));
    return [definition.name, Object.fromEntries(declared.map(({ name, signature }) => [name, signature]))];
  });
  return Object.fromEntries(byCollection.sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe('The indexes of all collections', () => {
  it('are found by this test at all', () => {
    expect(Object.keys(signatures()).length).toBeGreaterThan(20);
    expect(signatures()['users']).toBeDefined();
  });

  it('are those that index-signatures.json records for the present SCHEMA; others raise it (docs/upgrading.md)', () => {
    expect(signatures()).toEqual(recorded[SCHEMA]);
  });

  it('are recorded for no number that no release has yet', () => {
    expect(Math.max(...Object.keys(recorded).map(Number))).toBe(SCHEMA);
  });
});
