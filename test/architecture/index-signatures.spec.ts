import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeApp, createApp } from '../../src/bootstrap/create-app';
import { Startup } from '../../src/bootstrap/startup';
import { loadConfig } from '../../src/config';
import {
  type CollectionDefinition,
  defineCollection,
  type Doc,
  encrypted as sealedField,
  plain,
  SCHEMA,
  Store,
} from '../../src/store';
import { Layout } from '../../src/store/embedded/layout';
import { RowShape } from '../../src/store/row-shape';

const sources = join(__dirname, '../../src');
/**
 * By schema number. What a released number has is never edited: a change of indexes adds an entry,
 * and raises SCHEMA.
 */
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

interface PlantedDoc extends Doc {
  readonly owner_id: string;
  readonly secret: string;
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

describe('The collections with encrypted fields', () => {
  const encrypted = definitions().filter((definition) => definition.encrypted.length > 0);

  it('are those that were looked at before, each with an owner', () => {
    const owners = encrypted.map(({ name, owner, keyVersions }) => [name, owner, ...keyVersions].join(' '));
    expect(owners.sort()).toEqual([
      'files owner_id wrap_version seal_version',
      'groups owner_id key_version',
      'idempotency_keys user_id',
      'sensitive_data user_id key_version',
      'sessions user_id',
      'subjects _id',
      'uploads owner_id seal_version',
      'users _id',
    ]);
  });

  it('stop the start of the service where no handler of user data claims one', async () => {
    const planted = defineCollection<PlantedDoc>({
      name: 'planted',
      fields: { owner_id: plain.string, secret: sealedField.string },
      owner: 'owner_id',
      tampered: 'refuse',
    });
    const dataDir = mkdtempSync(join(tmpdir(), 'coffer-planted-'));
    const config = loadConfig({
      newSecret: () => 'a-secret-of-this-test-alone-'.repeat(2),
      env: { DATA_DIR: dataDir },
    });
    const app = await createApp(config, { logger: false });
    await app.get(Startup).attempt();
    app.get(Store).collection(planted);
    await expect(app.init()).rejects.toThrow('No handler of user data claims the collection planted');
    await closeApp(app);
    rmSync(dataDir, { recursive: true, force: true });
  });
});

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
