import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '../..');
const text = (name: string): string => readFileSync(join(root, name), 'utf8');
const json = (name: string): Record<string, never> => JSON.parse(text(name)) as Record<string, never>;
const { version } = json('package.json') as unknown as { version: string };

const PROGRAMS = ['src', 'bench', 'scripts', 'bin', 'deploy', '.ci'];

const programs = PROGRAMS.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name)),
);

describe('The version', () => {
  it('is a semantic one', () => {
    expect(version).toMatch(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/);
  });

  it('is typed into no program: all read it from package.json', () => {
    expect(programs.length).toBeGreaterThan(100);
    const typed = new RegExp(`(?<![\\d.])${version.replaceAll('.', '\\.')}(?![\\d.])`);
    expect(programs.filter((path) => typed.test(readFileSync(path, 'utf8')))).toEqual([]);
    const calls = programs.filter((path) => /setVersion\(\s*['"`\d]/.test(readFileSync(path, 'utf8')));
    expect(calls).toEqual([]);
  });

  it('is the same in the files that are made from it', () => {
    const lock = json('package-lock.json') as unknown as { version: string; packages: { '': { version: string } } };
    expect([lock.version, lock.packages[''].version]).toEqual([version, version]);
    const described = (name: string): string => (json(name) as unknown as { info: { version: string } }).info.version;
    expect(described('openapi.json')).toBe(version);
    expect(described('postman/coffer.postman_collection.json')).toBe(version);
  });
});
