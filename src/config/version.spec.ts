import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { releaseVersion } from './version';

describe('The release of Coffer', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'coffer-version-'));
    mkdirSync(join(folder, 'dist/config'), { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is the version in the nearest package.json above', () => {
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ version: '7.8.9' }));
    expect(releaseVersion(join(folder, 'dist/config'))).toBe('7.8.9');
  });

  it('is unknown where no folder above has a package.json, and the search ends', () => {
    expect(releaseVersion(join(folder, 'dist/config'))).toBe('unknown');
  });
});
