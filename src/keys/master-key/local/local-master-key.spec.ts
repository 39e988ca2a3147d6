import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretBytes, StartupError, type WrappedKey } from '../../../kernel';
import { wrapContext } from '../master-key';
import { LocalMasterKey } from './local-master-key';

const ROOT_KEY = 'a root key of thirty-two characters';
const OTHER_ROOT_KEY = 'another root key of as many chars..';
const context = wrapContext('user-key', 'alice', 1);

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
  expect(error).toBeInstanceOf(StartupError);
  expect(await readFile(path)).toEqual(before);
  return (error as StartupError).message;
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
    await expect(new LocalMasterKey(folder, ROOT_KEY).open({ create: false })).rejects.toThrow(StartupError);
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

// Root ignores modes, so the tests that run as root take another effective user for the time of the
// act.
const asNobody = async (act: () => Promise<void>): Promise<void> => {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid!(65_534);
  try {
    await act();
  } finally {
    if (isRoot) process.seteuid!(0);
  }
};

describe('A keyring that another process wrote', () => {
  it('opens and wraps nothing here with a version that was retired there', async () => {
    const [here, there] = [await opened(), await opened()];
    const wrap = await wrapped(here);
    await there.rotate(1);
    await there.retire(1);
    expect(await opens(here, wrap)).toBe(false);
    await expect(wrapped(here)).rejects.toMatchObject({ code: 'kms_unavailable' });
    const rewrapped = here.rewrap(1, [{ wrapped: await wrapped(here, 2), context }]);
    await expect(rewrapped).rejects.toMatchObject({ code: 'kms_unavailable' });
  });

  it('is read once for all who ask at the same time', async () => {
    const [here, there] = [await opened(), await opened()];
    const wraps = await Promise.all([1, 2, 3].map(() => wrapped(here)));
    await there.rotate(1);
    const results = await Promise.all([...wraps, ...wraps].map((wrap) => opens(here, wrap)));
    expect(results).toEqual(Array(6).fill(true));
  });

  it('serves nothing where it does not open', async () => {
    const home = await opened();
    const wrap = await wrapped(home);
    await writeFile(path, 'damaged');
    await expect(opens(home, wrap)).rejects.toMatchObject({ code: 'kms_unavailable' });
  });
});

describe('The last version of a master key', () => {
  it('is followed by none, in a keyring or beyond what another home has', async () => {
    const home = await opened();
    await expect(home.rotate(999_999_999)).rejects.toMatchObject({ code: 'conflict' });
    expect(await home.rotate(999_999_998)).toBe(999_999_999);
    const wrap = await wrapped(home, 999_999_999);
    await expect(home.rotate(999_999_999)).rejects.toMatchObject({ code: 'conflict' });
    expect(await opens(await opened(), wrap)).toBe(true);
    expect(await readdir(folder)).toEqual(['keyring.json']);
  });
});

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
