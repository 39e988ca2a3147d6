import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(__dirname, '../..');

const CHANGELOG = `# Changelog

Some words.

## Unreleased

### Added

- One thing.

### Fixed

- Another one.
  It has two lines.

## 0.1.0 - 2026-01-01

### Added

- The first release.
`;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coffer-changelog-'));
  mkdirSync(join(folder, 'changelog'));
  writeFileSync(join(folder, 'CHANGELOG.md'), CHANGELOG);
  writeFileSync(join(folder, 'changelog/README.md'), '# What this folder is\n');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const fragment = (name: string, text: string): void => writeFileSync(join(folder, 'changelog', name), text);
const changelog = (): string => readFileSync(join(folder, 'CHANGELOG.md'), 'utf8');

function run(args: readonly string[], where = folder): { code: number | null; out: string; err: string } {
  const script = join(root, 'scripts/changelog.mjs');
  const done = spawnSync(process.execPath, [script, ...args, '--root', where], { encoding: 'utf8' });
  return { code: done.status, out: done.stdout, err: done.stderr };
}

describe('The fragments of the changelog', () => {
  it('are in order in this repository', () => {
    expect(run(['check'], root)).toEqual({ code: 0, out: '', err: '' });
    expect(run([], root).code).toBe(0);
  });

  it('become a section of their own with what stood under Unreleased, and go', () => {
    fragment('cabinet.added.md', 'A cabinet.\nIt has doors.\n');
    fragment('lock.security.md', 'A lock.\n');
    expect(run(['release', '0.2.0', '--date', '2026-12-01'])).toEqual({ code: 0, out: '', err: '' });
    expect(changelog()).toBe(`# Changelog

Some words.

## Unreleased

## 0.2.0 - 2026-12-01

### Security

- A lock.

### Added

- One thing.
- A cabinet.
  It has doors.

### Fixed

- Another one.
  It has two lines.

## 0.1.0 - 2026-01-01

### Added

- The first release.
`);
    expect(readdirSync(join(folder, 'changelog'))).toEqual(['README.md']);
  });

  it('are shown without a change', () => {
    fragment('lock.security.md', 'A lock.');
    expect(run([]).out).toMatch(/^### Security\n\n- A lock\.\n\n### Added\n\n- One thing\./);
    expect(changelog()).toBe(CHANGELOG);
    expect(existsSync(join(folder, 'changelog/lock.security.md'))).toBe(true);
  });

  it('give the notes of a release', () => {
    expect(run(['notes', '0.1.0'])).toEqual({ code: 0, out: '### Added\n\n- The first release.\n', err: '' });
    expect(run(['notes', '0.9.0'])).toEqual({ code: 1, out: '', err: 'CHANGELOG.md has no section "0.9.0"\n' });
  });

  it.each([
    ['a name without a section', 'lock.md', 'A lock.', /the name is not NAME\.SECTION\.md/],
    ['a section that there is not', 'lock.improved.md', 'A lock.', /"improved" is none of security, added/],
    ['no text', 'lock.fixed.md', '\n', /it is empty/],
    ['a heading', 'lock.fixed.md', '## Fixed\n\nA lock.', /without heading or list mark/],
    ['a list mark', 'lock.fixed.md', '- A lock.', /without heading or list mark/],
  ])('are refused with %s, and nothing is written', (_, name, text, message) => {
    fragment(name, text);
    for (const args of [['check'], ['release', '0.2.0']]) {
      const done = run(args);
      expect(done.code).toBe(1);
      expect(done.err).toMatch(message);
      expect(done.err).toContain(`changelog/${name}`);
    }
    expect(changelog()).toBe(CHANGELOG);
    expect(existsSync(join(folder, 'changelog', name))).toBe(true);
  });

  it.each([
    ['a version that is released already', ['release', '0.1.0'], 'CHANGELOG.md has a section "0.1.0" already\n'],
    ['what is no version', ['release', 'v1'], 'name the version, as 1.2.3\n'],
    ['no version', ['release'], 'name the version, as 1.2.3\n'],
    ['what is no date', ['release', '0.2.0', '--date', 'today'], 'the date is YYYY-MM-DD\n'],
  ])('are kept at a release of %s', (_, args, err) => {
    fragment('lock.fixed.md', 'A lock.');
    expect(run(args)).toEqual({ code: 1, out: '', err });
    expect(existsSync(join(folder, 'changelog/lock.fixed.md'))).toBe(true);
    expect(changelog()).toBe(CHANGELOG);
  });

  it('are wanted for a release: one of nothing is refused', () => {
    expect(run(['release', '0.2.0', '--date', '2026-12-01']).code).toBe(0);
    expect(run(['release', '0.3.0'])).toEqual({ code: 1, out: '', err: 'there is nothing to release\n' });
  });
});
