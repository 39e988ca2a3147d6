import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config';

const root = join(__dirname, '../..');
const text = (name: string): string => readFileSync(join(root, name), 'utf8');

/** Words in capitals in src/config that are values or error codes, not names of variables. */
const NOT_VARIABLES = new Set(['HS256', 'ES256', 'ENOENT', 'EEXIST']);

function variablesRead(): string[] {
  const files = readdirSync(join(root, 'src/config')).filter((file) => /(?<!\.spec)\.ts$/.test(file));
  const literals = files.flatMap((file) => text(`src/config/${file}`).match(/'[A-Z][A-Z0-9]*(_[A-Z0-9]+)*'/g) ?? []);
  const names = literals.map((literal) => literal.slice(1, -1)).filter((name) => name.length > 3);
  return [...new Set(names)].filter((name) => !NOT_VARIABLES.has(name)).sort();
}

/** Names that look like those of secrets. */
const NO_SECRETS = new Set(['PASSWORD_RULE', 'COFFER_PASSWORD_COST']);

const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();

describe('The variables that the configuration reads', () => {
  const read = variablesRead();

  it('are found by this test at all', () => {
    expect(read).toEqual(expect.arrayContaining(['PORT', 'DATA_DIR', 'VAULT_ADDR', 'JWT_SECRET', 'NODE_ENV']));
  });

  it('are those that .env.example explains', () => {
    const explained = [...text('.env.example').matchAll(/^# ([A-Z][A-Z0-9_]+)=/gm)].map((match) => match[1]!);
    expect(sorted(explained)).toEqual(read);
  });

  it('are those in the tables of docs/operations.md', () => {
    const rows = text('docs/operations.md').match(/^\| `[A-Z][^|]*\|/gm) ?? [];
    const listed = rows.flatMap((row) => [...row.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map((match) => match[1]!));
    expect(sorted(listed)).toEqual(read);
  });
});

describe('"Known, and not offered by this version" in docs/operations.md', () => {
  let dataDir: string;
  beforeAll(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'coffer-environment-'));
  });
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

  /**
   * Whether some value of the variable is refused because a later version brings what it asks for.
   */
  const isRefusedAsLater = (name: string): boolean =>
    ['ES256', 'true', '7', 'https://vault.example.org', 'example.org'].some((value) => {
      try {
        loadConfig({
          newSecret: () => 'a-secret-of-this-test-alone-'.repeat(2),
          env: { DATA_DIR: dataDir, [name]: value },
        });
        return false;
      } catch (error) {
        return /not offer(ed)? (it )?yet/.test((error as Error).message);
      }
    });

  it('lists exactly the variables that stop a start for that reason', () => {
    const section =
      /### Known, and not offered by this version\n([\s\S]*?)\n### /.exec(text('docs/operations.md'))?.[1] ?? '';
    const rows = section.match(/^\| `[A-Z][^|]*\|/gm) ?? [];
    const listed = rows.flatMap((row) => [...row.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map((match) => match[1]!));
    expect(listed).toContain('JWT_ALG');
    expect(sorted(listed)).toEqual(variablesRead().filter((name) => name !== 'DATA_DIR' && isRefusedAsLater(name)));
  });
});

describe('.env.example', () => {
  it('sets nothing by itself, so that a copy of it changes nothing', () => {
    const active = text('.env.example')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(active).toEqual([]);
  });

  it('has samples that production refuses wherever a secret belongs', () => {
    const secrets = [...text('.env.example').matchAll(/^# (\w*(?:SECRET|PASSWORD|PEPPER|TOKEN|ROOT_KEY)\w*)=(.*)$/gm)];
    const names = secrets.map((match) => match[1]).filter((name) => !NO_SECRETS.has(name!));
    expect(names.length).toBeGreaterThan(5);
    const real = secrets.filter(([, name, value]) => !NO_SECRETS.has(name!) && !value!.startsWith('change-me'));
    expect(real).toEqual([]);
  });
});
