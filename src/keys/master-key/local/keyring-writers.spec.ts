import { Logger } from '@nestjs/common';
import { execFileSync } from 'node:child_process';
import { copyFile, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretBytes, type WrappedKey } from '../../../kernel';
import { skippedName } from '../../../../test/support/parts';
import { type Managed, startProcess } from '../../../../test/support/processes';
import { describeWithSmallDisk, type SmallDisk, smallDisk } from '../../../../test/support/small-disk';
import { wrapContext } from '../master-key';
import { withNewVersion } from './keyring-format';
import { KeyringDraft, KeyringFile } from './keyring-file';
import { LocalMasterKey } from './local-master-key';

const ROOT_KEY = 'a root key of thirty-two characters';
const context = wrapContext('user-key', 'alice', 1);
const support = join(__dirname, '../../../../test/support');
const program = ['--require', join(support, 'typescript-hook.cjs'), join(support, 'keyring-process.ts')];

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'coffer-keyring-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

async function opened(): Promise<LocalMasterKey> {
  const home = new LocalMasterKey(folder, ROOT_KEY);
  await home.open();
  return home;
}

const opens = async (home: LocalMasterKey, wrapped: WrappedKey): Promise<boolean> =>
  (await home.unwrap([{ wrapped, context }]))[0]!.ok;

const names = async (): Promise<string[]> => (await readdir(folder)).sort();

const rotator = (rounds: number, failpoint = ''): Managed =>
  startProcess(process.execPath, [...program, folder, ROOT_KEY, String(rounds), failpoint]);

/**
 * The same in a pid namespace of its own: to a process of another one its pid means nothing, and
 * the host has one name.
 */
const NAMESPACE = ['--user', '--map-root-user', '--pid', '--fork', '--mount-proc'];
const rotatorInNamespace = (rounds: number): Managed =>
  startProcess('unshare', [...NAMESPACE, process.execPath, ...program, folder, ROOT_KEY, String(rounds)]);

async function outcome(process: Managed): Promise<WrappedKey[]> {
  if ((await process.exited) !== 0) throw new Error(process.output());
  return JSON.parse(process.output()) as WrappedKey[];
}

async function expectNothingLost(processes: Managed[]): Promise<void> {
  const wraps = (await Promise.all(processes.map(outcome))).flat();
  const home = await opened();
  expect(await Promise.all(wraps.map((wrap) => opens(home, wrap)))).toEqual(wraps.map(() => true));
  const { current, versions } = await home.state();
  expect(versions.map(({ version }) => version)).toEqual(Array.from({ length: current }, (_, at) => at + 1));
  expect(await names()).toEqual(['keyring.json']);
}

describe('Several processes on one keyring', () => {
  it('make one version where all of them expect the same one', async () => {
    const homes = await Promise.all([1, 2, 3, 4, 5, 6].map(() => opened()));
    expect(await Promise.all(homes.map((home) => home.rotate(1)))).toEqual([2, 2, 2, 2, 2, 2]);
    expect(await names()).toEqual(['keyring.json']);
  });

  it('lose no version and no wrap where they rotate against each other', async () => {
    await opened();
    await expectNothingLost([rotator(50), rotator(50), rotator(50)]);
  });

  it('make one keyring where all of them start at once', () => expectNothingLost([rotator(1), rotator(1), rotator(1)]));
});

const hasNamespaces = ((): boolean => {
  try {
    execFileSync('unshare', [...NAMESPACE, 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe('Processes of two pid namespaces with one host name', () => {
  const name = 'lose no version and no wrap where they rotate against each other';
  const itInNamespaces = hasNamespaces ? it : it.skip;
  itInNamespaces(hasNamespaces ? name : skippedName(name, 'no right to make a pid namespace'), async () => {
    await opened();
    await expectNothingLost([rotatorInNamespace(50), rotatorInNamespace(50)]);
  });
});

describe('A writer that was killed', () => {
  it.each([
    ['before its generation was decided', 'keyring.written', 1],
    ['when its generation was decided', 'keyring.decided', 2],
    ['when the drafts were gone', 'keyring.drafts-removed', 2],
    ['when its generation was settled', 'keyring.settled', 2],
  ])('%s leaves a keyring that others read and write on', async (_, failpoint, current) => {
    const home = await opened();
    expect(await rotator(1, failpoint).exited).toBeNull();
    expect((await home.state()).current).toBe(current);
    expect(await home.rotate(current)).toBe(current + 1);
    await home.retire(current);
    expect(await names()).toEqual(['keyring.json']);
    expect((await (await opened()).state()).versions.map(({ version }) => version)).toEqual([current + 1]);
  });
});

describe('A writer that slept', () => {
  const asleep = async (): Promise<() => Promise<boolean>> => {
    const file = new KeyringFile(folder, ROOT_KEY);
    const draft = await KeyringDraft.begin(folder);
    const { keyring } = (await file.read())!;
    return () => file.put(draft, withNewVersion(keyring, Date.now())).finally(() => draft.discard());
  };

  it('writes nothing where others have come further by one generation or by several', async () => {
    const home = await opened();
    const [one, two] = [await asleep(), await asleep()];
    await home.rotate(1);
    expect(await one()).toBe(false);
    await home.rotate(2);
    await home.retire(1);
    const before = await readFile(join(folder, 'keyring.json'));
    expect(await two()).toBe(false);
    expect(await readFile(join(folder, 'keyring.json'))).toEqual(before);
    expect(await names()).toEqual(['keyring.json']);
  });

  it('writes where nobody has', async () => {
    const home = await opened();
    expect(await (await asleep())()).toBe(true);
    expect((await home.state()).current).toBe(2);
  });

  it('puts no former generation in the place of a later one', async () => {
    const home = await opened();
    await home.rotate(1);
    const before = await readFile(join(folder, 'keyring.json'));
    await new KeyringFile(folder, ROOT_KEY).settle(1);
    await new KeyringFile(folder, ROOT_KEY).settle(2);
    expect(await readFile(join(folder, 'keyring.json'))).toEqual(before);
  });
});

describe('A generation that is decided and not settled', () => {
  it('is read where the folder cannot be written', async () => {
    await opened();
    await rotator(1, 'keyring.decided').exited;
    const read = await new KeyringFile(folder, ROOT_KEY).read();
    expect(read).toMatchObject({ isPending: true, keyring: { generation: 2, current: 2 } });
  });

  it('refuses the start by its name where it is damaged', async () => {
    await opened();
    await writeFile(join(folder, 'keyring.2'), 'damaged');
    await expect(opened()).rejects.toThrow(`${join(folder, 'keyring.2')} is damaged`);
  });
});

describe('A copy of the keyring under a name that ends in a number', () => {
  it('is no generation: the keyring is read, written and retired as without it', async () => {
    const home = await opened();
    await copyFile(join(folder, 'keyring.json'), join(folder, 'keyring.20261130'));
    expect(await home.rotate(1)).toBe(2);
    await home.retire(1);
    expect((await (await opened()).state()).versions.map(({ version }) => version)).toEqual([2]);
    expect(await names()).toEqual(['keyring.20261130', 'keyring.json']);
  });

  it('is named in the log where it has the name of the next generation, and left as it is', async () => {
    const home = await opened();
    await copyFile(join(folder, 'keyring.json'), join(folder, 'keyring.2'));
    const before = await readFile(join(folder, 'keyring.2'));
    const log = jest.spyOn(Logger.prototype, 'error').mockImplementation();
    await expect(home.rotate(1)).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect(log).toHaveBeenCalledWith(expect.stringMatching(/^keyring\.2: a copy .* move it out of the folder$/));
    log.mockRestore();
    expect(await readFile(join(folder, 'keyring.2'))).toEqual(before);
    await rm(join(folder, 'keyring.2'));
    expect(await home.rotate(1)).toBe(2);
  });

  it('does not hide a generation that is decided', async () => {
    await opened();
    await copyFile(join(folder, 'keyring.json'), join(folder, 'keyring.20261130'));
    await rotator(1, 'keyring.decided').exited;
    expect((await (await opened()).state()).current).toBe(2);
  });
});

describe('A writer of an earlier release', () => {
  const lock = (): string => join(folder, 'keyring.lock.2.1');
  const another = JSON.stringify({ pid: 1, host: 'another', started: '1', boot: '' });

  it('is waited for no longer than a request may take, and nothing is changed', async () => {
    const home = await opened();
    await writeFile(lock(), another);
    await expect(home.rotate(1)).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect((await home.state()).current).toBe(1);
  });

  it('is passed by where it died long ago', async () => {
    const home = await opened();
    await writeFile(lock(), another);
    const past = new Date(Date.now() - 120_000);
    await utimes(lock(), past, past);
    expect(await home.rotate(1)).toBe(2);
    expect(await names()).toEqual(['keyring.json']);
  });

  it('is passed by where its lock has a time far in the future', async () => {
    const home = await opened();
    await writeFile(lock(), another);
    const future = new Date(Date.now() + 3_600_000);
    await utimes(lock(), future, future);
    expect(await home.rotate(1)).toBe(2);
  });

  it('finds the lock of the generation taken for as long as a writer of this one is at it', async () => {
    await opened();
    await rotator(1, 'keyring.decided').exited;
    expect((await stat(lock())).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(lock(), 'utf8'))).toMatchObject({ host: 'keyring-by-link' });
  });
});

describeWithSmallDisk('A full disk', () => {
  let disk: SmallDisk;
  beforeEach(() => (disk = smallDisk(1)));
  afterEach(() => disk.remove());

  it('refuses a rotation, keeps the keyring as it was, and takes the next one once there is space', async () => {
    const home = new LocalMasterKey(disk.path, ROOT_KEY);
    await home.open();
    const [wrapped] = await home.wrap(1, [{ key: new SecretBytes(Buffer.alloc(32, 5)), context }]);
    disk.fill();
    await expect(home.rotate(1)).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect(await opens(home, wrapped!)).toBe(true);
    disk.relieve();
    expect(await home.rotate(1)).toBe(2);
    expect(await readdir(disk.path)).toEqual(['keyring.json']);
  });
});
