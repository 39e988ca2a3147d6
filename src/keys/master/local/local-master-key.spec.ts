import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretBytes, StartRefused, type WrappedKey } from '../../../kernel';
import { type Managed, startProcess } from '../../../../test/support/processes';
import { wrapContext } from '../wrap-context';
import { LocalMasterKey } from './local-master-key';

const ROOT_KEY = 'a root key of thirty-two characters';
const OTHER_ROOT_KEY = 'another root key of as many chars..';
const context = wrapContext('user-key', 'alice', 1);
const support = join(__dirname, '../../../../test/support');

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-keyring-'));
  path = join(folder, 'keyring.json');
});
afterEach(async () => {
  await chmod(folder, 0o700);
  await rm(folder, { recursive: true, force: true });
});

async function opened(rootKey = ROOT_KEY): Promise<LocalMasterKey> {
  const home = new LocalMasterKey(folder, rootKey);
  await home.open();
  return home;
}

async function wrapped(home: LocalMasterKey, version = 1): Promise<WrappedKey> {
  const [wrap] = await home.wrap(version, [{ key: new SecretBytes(Buffer.alloc(32, 5)), context }]);
  return wrap!;
}

const opens = async (home: LocalMasterKey, wrap: WrappedKey): Promise<boolean> =>
  (await home.unwrap([{ wrapped: wrap, context }]))[0]!.ok;

/** A start that must be refused, with the file as it was before. */
async function refusal(home: LocalMasterKey): Promise<string> {
  const before = await readFile(path);
  const error: unknown = await home.open().catch((fault: unknown) => fault);
  expect(error).toBeInstanceOf(StartRefused);
  expect(await readFile(path)).toEqual(before);
  return (error as StartRefused).message;
}

function rotator(rounds: number, failpoint = ''): Managed {
  const hook = join(support, 'typescript-hook.cjs');
  const program = join(support, 'keyring-process.ts');
  return startProcess(process.execPath, ['--require', hook, program, folder, ROOT_KEY, String(rounds), failpoint]);
}

async function outcome(process: Managed): Promise<WrappedKey[]> {
  if ((await process.exited) !== 0) throw new Error(process.output());
  return JSON.parse(process.output()) as WrappedKey[];
}

describe('The keyring file', () => {
  it('can be read by its owner alone', async () => {
    await opened();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('holds neither the root key nor a key in clear', async () => {
    await opened();
    const text = await readFile(path, 'utf8');
    expect(text).not.toContain(ROOT_KEY);
    expect(Object.keys((JSON.parse(text) as { versions: object[] }).versions[0]!)).toEqual([
      'version',
      'created_at',
      'sealed',
    ]);
  });

  it('opens again after a restart', async () => {
    const wrap = await wrapped(await opened());
    expect(await opens(await opened(), wrap)).toBe(true);
  });

  it('is sealed anew by each rotation, and what the former version wrapped opens after a restart', async () => {
    const home = await opened();
    const wrap = await wrapped(home);
    await home.rotate(1);
    expect(await opens(await opened(), wrap)).toBe(true);
  });

  it('leaves no temporary file and no lock beside it', async () => {
    await (await opened()).rotate(1);
    expect(await readdir(folder)).toEqual(['keyring.json']);
  });
});

describe('A start with a keyring that does not open', () => {
  it('is refused for a wrong root key, which the line names without its value', async () => {
    await opened();
    const message = await refusal(new LocalMasterKey(folder, OTHER_ROOT_KEY));
    expect(message).toContain('COFFER_ROOT_KEY does not open');
    expect(message).not.toContain(OTHER_ROOT_KEY);
  });

  it.each([
    ['is empty', () => ''],
    ['is cut in half', (text: string) => text.slice(0, text.length / 2)],
    ['is no JSON', () => 'not json'],
    ['is another JSON', () => '[]'],
    ['has lost a version', (text: string) => edited(text, (doc) => void doc.versions.shift())],
    ['has its versions swapped', (text: string) => edited(text, swapVersions)],
    ['names another current version', (text: string) => edited(text, (doc) => void (doc.current = 1))],
    ['names a version that is not there', (text: string) => edited(text, (doc) => void (doc.current = 3))],
    ['has another generation', (text: string) => edited(text, (doc) => void (doc.generation = 9))],
    ['has another MAC', (text: string) => edited(text, (doc) => void (doc.mac = 'ab'.repeat(32)))],
    ['has a short MAC', (text: string) => edited(text, (doc) => void (doc.mac = 'ab'))],
    ['has another time', (text: string) => edited(text, (doc) => void (doc.versions[0]!.created_at = '2020-01-01'))],
  ])('is refused where the file %s', async (_, damage) => {
    await (await opened()).rotate(1);
    await writeFile(path, damage(await readFile(path, 'utf8')));
    expect(await refusal(new LocalMasterKey(folder, ROOT_KEY))).toContain('is damaged');
  });

  it('is refused for a format of a later version', async () => {
    await opened();
    const text = await readFile(path, 'utf8');
    await writeFile(
      path,
      edited(text, (doc) => void (doc.format_version = 2)),
    );
    expect(await refusal(new LocalMasterKey(folder, ROOT_KEY))).toContain('newer version of Coffer');
  });

  it('is refused where the file is missing although an installation exists, and none is made', async () => {
    await expect(new LocalMasterKey(folder, ROOT_KEY).open({ create: false })).rejects.toThrow(StartRefused);
    expect(await readdir(folder)).toEqual([]);
  });

  it('is refused where a folder stands in its place', async () => {
    await mkdir(path);
    await expect(new LocalMasterKey(folder, ROOT_KEY).open()).rejects.toThrow('cannot be read (EISDIR)');
  });
});

interface Doc {
  format_version: number;
  generation: number;
  current: number;
  versions: { sealed: string; created_at: string }[];
  mac: string;
}

function edited(text: string, change: (doc: Doc) => void): string {
  const doc = JSON.parse(text) as Doc;
  change(doc);
  return JSON.stringify(doc);
}

function swapVersions({ versions }: Doc): void {
  const [first, second] = versions;
  [first!.sealed, second!.sealed] = [second!.sealed, first!.sealed];
}

describe('A keyring that is lost while the service runs', () => {
  it('makes the key service unavailable for what is not known, and no new keyring', async () => {
    const home = await opened();
    await rm(path);
    await expect(home.state()).rejects.toMatchObject({ code: 'kms_unavailable' });
    await expect(home.rotate(1)).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('serves what it has opened', async () => {
    const home = await opened();
    const wrap = await wrapped(home);
    await rm(path);
    expect(await opens(home, wrap)).toBe(true);
  });

  it('is never written over where it is damaged', async () => {
    const home = await opened();
    await writeFile(path, 'damaged');
    await expect(home.rotate(1)).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect(await readFile(path, 'utf8')).toBe('damaged');
  });
});

// Root ignores modes, so the tests that run as root take another effective user for the time of the act.
const asNobody = async (act: () => Promise<void>): Promise<void> => {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid!(65_534);
  try {
    await act();
  } finally {
    if (isRoot) process.seteuid!(0);
  }
};

describe('A data folder that cannot be written', () => {
  it('refuses the first start in one line', async () => {
    await chmod(folder, 0o555);
    await asNobody(() =>
      expect(new LocalMasterKey(folder, ROOT_KEY).open()).rejects.toThrow('cannot be written (EACCES)'),
    );
  });

  it('serves wraps but no rotation, and leaves the keyring as it was', async () => {
    const home = await opened();
    const before = await readFile(path);
    await chmod(path, 0o644);
    await chmod(folder, 0o555);
    await asNobody(async () => {
      await expect(home.rotate(1)).rejects.toMatchObject({ code: 'kms_unavailable' });
      expect(await opens(home, await wrapped(home))).toBe(true);
    });
    expect(await readFile(path)).toEqual(before);
  });
});

// Elsewhere a process is known by its id alone.
const itOnLinux = process.platform === 'linux' ? it : it.skip;

describe('Several processes on one keyring', () => {
  it('make one version where all of them expect the same one', async () => {
    const homes = await Promise.all([1, 2, 3, 4, 5, 6].map(() => opened()));
    expect(await Promise.all(homes.map((home) => home.rotate(1)))).toEqual([2, 2, 2, 2, 2, 2]);
  });

  it('lose no version and no wrap where they rotate against each other', async () => {
    await opened();
    const wraps = (await Promise.all([rotator(25), rotator(25), rotator(25)].map(outcome))).flat();
    const home = await opened();
    expect(await Promise.all(wraps.map((wrap) => opens(home, wrap)))).toEqual(wraps.map(() => true));
    const { current, versions } = await home.state();
    expect(versions.map(({ version }) => version)).toEqual(Array.from({ length: current }, (_, at) => at + 1));
  });

  it('make one keyring where all of them start at once', async () => {
    const wraps = (await Promise.all([rotator(1), rotator(1), rotator(1)].map(outcome))).flat();
    const home = await opened();
    expect(await Promise.all(wraps.map((wrap) => opens(home, wrap)))).toEqual([true, true, true]);
  });

  it('take the lock of a process over that was killed before it wrote', async () => {
    const home = await opened();
    const killed = rotator(1, 'keyring.locked');
    expect(await killed.exited).toBeNull();
    expect(await readdir(folder)).toContain('keyring.lock.2.1');
    expect(await home.rotate(1)).toBe(2);
    expect(await readdir(folder)).toEqual(['keyring.json']);
  });

  it('adopt the version of a process that was killed right after it wrote', async () => {
    const home = await opened();
    await rotator(1, 'keyring.replaced').exited;
    expect(await home.rotate(1)).toBe(2);
    expect(await home.rotate(2)).toBe(3);
    expect(await readdir(folder)).toEqual(['keyring.json']);
  });

  it('let one of many take a stale lock over', async () => {
    await opened();
    await rotator(1, 'keyring.locked').exited;
    const homes = await Promise.all([1, 2, 3, 4].map(() => opened()));
    expect(await Promise.all(homes.map((home) => home.rotate(1)))).toEqual([2, 2, 2, 2]);
  });

  itOnLinux('take the lock of an earlier process over that had the same id', async () => {
    const home = await opened();
    const earlier = { pid: process.pid, host: hostname(), started: '1', boot: await bootId() };
    await writeFile(join(folder, 'keyring.lock.2.1'), JSON.stringify(earlier));
    expect(await home.rotate(1)).toBe(2);
  });

  itOnLinux('wait for a living one no longer than the port allows, and change nothing', async () => {
    const home = await opened();
    const stat = await readFile(`/proc/${process.pid}/stat`, 'utf8');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
    const living = { pid: process.pid, host: hostname(), started, boot: await bootId() };
    await writeFile(join(folder, 'keyring.lock.2.1'), JSON.stringify(living));
    await expect(home.rotate(1)).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect((await home.state()).current).toBe(1);
  });
});

const bootId = async (): Promise<string> => (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
