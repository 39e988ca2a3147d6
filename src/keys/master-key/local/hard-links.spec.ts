import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWithForgetfulDisk, type ForgetfulDisk, forgetfulDisk } from '../../../../test/support/forgetful-disk';
import { StartupError } from '../../../kernel';
import { linkRefusal } from './keyring-file';
import { LocalMasterKey } from './local-master-key';

const ROOT_KEY = 'a root key of thirty-two characters';
const opening = (folder: string): Promise<unknown> =>
  new LocalMasterKey(folder, ROOT_KEY).open().then(
    () => undefined,
    (error: unknown) => error,
  );

describeWithForgetfulDisk('A data folder without hard links', () => {
  let disk: ForgetfulDisk;
  let elsewhere: string;
  beforeEach(async () => {
    disk = await forgetfulDisk('--no-links');
    elsewhere = await mkdtemp(join(tmpdir(), 'coffer-keyring-'));
  });
  afterEach(async () => {
    await disk.remove();
    await rm(elsewhere, { recursive: true, force: true });
  });

  const expectRefused = (refusal: unknown): void => {
    expect(refusal).toBeInstanceOf(StartupError);
    const { message } = refusal as StartupError;
    expect(message).toContain(`${disk.path} has no hard links (link: EPERM)`);
    expect(message).not.toContain('\n');
  };

  it('is refused at the first start, by its name and what is missing, and gets no keyring', async () => {
    expectRefused(await opening(disk.path));
    expect(await readdir(disk.path)).toEqual([]);
  });

  it('is refused with the keyring of an installation in it, which stays as it is', async () => {
    await new LocalMasterKey(elsewhere, ROOT_KEY).open();
    const keyring = await readFile(join(elsewhere, 'keyring.json'));
    await writeFile(join(disk.path, 'keyring.json'), keyring);
    expectRefused(await opening(disk.path));
    expect(await readFile(join(disk.path, 'keyring.json'))).toEqual(keyring);
    expect(await readdir(disk.path)).toEqual(['keyring.json']);
  });
});

describe('The look for hard links', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'coffer-keyring-'))));
  afterEach(async () => {
    await chmod(folder, 0o700);
    await rm(folder, { recursive: true, force: true });
  });

  it('leaves nothing behind, however many look at once', async () => {
    const looks = await Promise.all(Array.from({ length: 8 }, () => linkRefusal(folder)));
    expect(new Set(looks)).toEqual(new Set([undefined]));
    expect(await readdir(folder)).toEqual([]);
  });

  it('does not stand in the way of a keyring in a folder that cannot be written', async () => {
    expect(await linkRefusal(join(folder, 'missing'))).toBeUndefined();
  });
});
