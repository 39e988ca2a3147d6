import { readdir } from 'node:fs/promises';
import { describeWithForgetfulDisk, type ForgetfulDisk, forgetfulDisk } from '../../test/support/forgetful-disk';
import { noted, readMarker, writeMarker, writeNote } from './data-folder';

describeWithForgetfulDisk('A data folder without hard links', () => {
  let disk: ForgetfulDisk;
  beforeEach(async () => (disk = await forgetfulDisk('--no-links')));
  afterEach(() => disk.remove());

  it('knows its installation and its notes like any other, and what stands there first stays', async () => {
    const marker = { installation_id: 'one', store: 'mongo' };
    await writeMarker(disk.path, marker);
    await writeMarker(disk.path, { installation_id: 'two', store: 'mongo' });
    await writeNote(disk.path, 'first_administrator', 'ada');
    await writeNote(disk.path, 'first_administrator', 'eve');
    expect(await readMarker(disk.path)).toEqual(marker);
    expect(await noted(disk.path, 'first_administrator')).toBe('ada');
    expect((await readdir(disk.path)).sort()).toEqual(['installation.first_administrator.json', 'installation.json']);
  });
});
