import { Logger } from '@nestjs/common';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryWrapStore } from '../../../test/support/memory-wrap-store';
import { DomainError, SecretBytes, StartupError, type WrappedKey } from '../../kernel';
import { type VersionRange, type MasterKey, RoutedMasterKey, type UnwrapItem, wrapContext } from '.';
import { LocalMasterKey } from './local';

beforeAll(() => void Logger.overrideLogger(false));

const context = wrapContext('user-key', 'alice', 1);
const newKey = (fill = 7): SecretBytes => new SecretBytes(Buffer.alloc(32, fill));
const hex = ({ bytes }: SecretBytes): string => bytes.toString('hex');
const unavailable = { code: 'kms_unavailable' };

let folder: string;
let local: LocalMasterKey;
let kv: MemoryWrapStore;
let homes: RoutedMasterKey;
/** What the row says; undefined while nobody can read it. */
let spans: readonly VersionRange[] | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-homes-'));
  local = new LocalMasterKey(folder, 'a root key of thirty-two characters');
  kv = new MemoryWrapStore();
  spans = [{ home: 'local', since: 1 }];
  homes = following(local, kv);
  await homes.open();
});
afterEach(async () => {
  await homes.close();
  await rm(folder, { recursive: true, force: true });
});

function following(...all: [MasterKey, ...MasterKey[]]): RoutedMasterKey {
  const made = new RoutedMasterKey(all);
  made.follow(['local', 'kv'], () => Promise.resolve(spans && { homes: spans }));
  return made;
}

async function wrapOne(by: MasterKey, version: number, fill = 7): Promise<UnwrapItem & { wrapped: WrappedKey }> {
  const [wrapped] = await by.wrap(version, [{ key: newKey(fill), context }]);
  return { wrapped: wrapped!, context };
}

const opens = async (by: MasterKey, item: UnwrapItem): Promise<boolean> => (await by.unwrap([item]))[0]!.ok;

/** As a move does it: the next version in the document, and the row says so. */
async function move(): Promise<number> {
  await homes.prepareMove('kv');
  const target = await (await homes.inHome('kv')).rotate(1);
  spans = [
    { home: 'local', since: 1 },
    { home: 'kv', since: target },
  ];
  return target;
}

describe('a master key that has moved', () => {
  it('opens each wrap in the home of its version, in one batch and in order', async () => {
    const old = await wrapOne(homes, 1, 1);
    const target = await move();
    const items = [await wrapOne(homes, target, 2), old, await wrapOne(homes, target, 3)];
    expect(items.map(({ wrapped }) => wrapped.ciphertext.split(':')[0])).toEqual(['kv', 'local', 'kv']);
    const opened = await homes.unwrap(items);
    expect(opened.map((result) => result.ok && hex(result.value))).toEqual([2, 1, 3].map((fill) => hex(newKey(fill))));
  });

  it('carries a key from home to home in a rewrap, and refuses a bad one alone', async () => {
    const old = await wrapOne(homes, 1, 1);
    const target = await move();
    const bad = { ...old, context: wrapContext('user-key', 'mallory', 1) };
    const fresh = await wrapOne(homes, target, 2);
    const results = await homes.rewrap(target, [old, bad, fresh, old]);
    expect(results.map(({ ok }) => ok)).toEqual([true, false, true, true]);
    const [first] = results;
    const wrapped = first?.ok === true ? first.value : old.wrapped;
    expect(wrapped).toMatchObject({ masterVersion: target, ciphertext: expect.stringMatching(/^kv:v2:/) });
    const [opened] = await homes.unwrap([{ wrapped, context }]);
    expect(opened?.ok === true && hex(opened.value)).toBe(hex(newKey(1)));
    expect(await opens(homes, { wrapped, context: bad.context })).toBe(false);
  });

  it('is followed by a process that had not heard of it, for reads and for wraps', async () => {
    const other = following(new LocalMasterKey(folder, 'a root key of thirty-two characters'), kv);
    const old = await wrapOne(other, 1);
    const target = await move();
    expect(await opens(other, await wrapOne(homes, target))).toBe(true);
    expect((await wrapOne(other, target)).wrapped.ciphertext).toMatch(/^kv:/);
    expect(await opens(other, old)).toBe(true);
    await other.close();
  });

  it('is not opened by a wrap of the former home that claims a version of the present one', async () => {
    const target = await move();
    await homes.state();
    await local.rotate(target - 1);
    expect(await opens(homes, await wrapOne(local, target))).toBe(false);
  });

  it('is not opened by a wrap of the present home that claims a version of the former one', async () => {
    await move();
    expect(kv.keys.has(1)).toBe(true);
    expect(await opens(homes, await wrapOne(kv, 1))).toBe(false);
  });

  it('lists the versions of both homes, each from the home that holds them', async () => {
    await local.rotate(1);
    await homes.prepareMove('kv');
    const target = await (await homes.inHome('kv')).rotate(2);
    await local.rotate(2);
    spans = [
      { home: 'local', since: 1 },
      { home: 'kv', since: target },
    ];
    const { current, versions } = await homes.state();
    expect([current, versions.map(({ version }) => version), homes.home]).toEqual([3, [1, 2, 3], 'kv']);
  });

  it('is rotated in its present home', async () => {
    const target = await move();
    expect(await homes.rotate(target)).toBe(target + 1);
    expect((await local.state()).current).toBe(1);
  });
});

describe('retiring over homes', () => {
  it('ends the newest version of a former home too, and may be repeated', async () => {
    const old = await wrapOne(homes, 1);
    const target = await move();
    const fresh = await wrapOne(homes, target);
    for (let time = 0; time < 2; time += 1) await homes.retire(1);
    expect([await opens(homes, old), await opens(local, old), await opens(homes, fresh)]).toEqual([false, false, true]);
    expect((await local.state()).versions.map(({ version }) => version)).toEqual([2]);
    expect((await homes.state()).versions.map(({ version }) => version)).toEqual([target]);
  });

  it('still refuses the newest version of all', async () => {
    const target = await move();
    await expect(homes.retire(target)).rejects.toBeInstanceOf(TypeError);
    expect((await local.state()).versions).toHaveLength(1);
  });

  it('ends nothing where a former home is away', async () => {
    const target = await move();
    await homes.rotate(target);
    kv.up = false;
    await expect(homes.retire(target)).rejects.toMatchObject(unavailable);
  });

  it('is done where another backend is away, whose former floor is looked at later', async () => {
    await move();
    spans = [
      { home: 'local', since: 1, floor: 0 },
      { home: 'kv', since: 2, floor: 1 },
    ];
    const old = await wrapOne(homes, 1);
    const other = following(local, kv);
    await other.open();
    kv.up = false;
    await other.retire(1);
    kv.up = true;
    expect(await opens(homes, old)).toBe(false);
  });

  it('asserts the floor of each other home where one is away, and names that one', async () => {
    await homes.prepareMove('kv');
    spans = [
      { home: 'kv', since: 1, floor: 1 },
      { home: 'local', since: 2, floor: 2 },
    ];
    jest.spyOn(kv, 'keepEnded').mockRejectedValue(new DomainError('kms_unavailable'));
    const asserted = jest.spyOn(local, 'keepEnded').mockResolvedValue();
    await expect(homes.assertFloors()).rejects.toMatchObject({ ...unavailable, detail: expect.stringMatching(/ kv /) });
    expect(asserted).toHaveBeenCalledWith(2);
  });

  it('leaves a home that has ended alone: it may be gone', async () => {
    await move();
    spans = [
      { home: 'local', since: 1, ended: true },
      { home: 'kv', since: 2 },
    ];
    const without = following(kv);
    await without.open();
    expect(await without.state()).toMatchObject({ current: 2, destroyedBelow: 2 });
    expect((await without.state()).unseen).toBeUndefined();
    const old = { wrapped: { masterVersion: 1, ciphertext: 'local:v1:AAAA' }, context };
    expect(await opens(without, old)).toBe(false);
    await without.rotate(2);
    await without.retire(2);
    expect((await without.state()).versions.map(({ version }) => version)).toEqual([3]);
  });
});

describe('a home that is not there', () => {
  it('is an outage for its versions alone, never a refusal of the keys', async () => {
    const old = await wrapOne(homes, 1);
    const target = await move();
    const fresh = await wrapOne(homes, target);
    const without = following(kv);
    await without.open();
    expect(await opens(without, fresh)).toBe(true);
    await expect(without.unwrap([fresh, old])).rejects.toMatchObject(unavailable);
    await expect(without.rewrap(target, [old])).rejects.toMatchObject(unavailable);
    expect(await without.state()).toMatchObject({ unseen: [1], versions: [{ version: target }] });
    await expect(without.retire(1)).rejects.toMatchObject(unavailable);
  });

  it('serves again as soon as it answers', async () => {
    const target = await move();
    const fresh = await wrapOne(homes, target);
    const other = following(new LocalMasterKey(folder, 'a root key of thirty-two characters'), kv);
    await other.open();
    kv.up = false;
    await expect(other.unwrap([fresh])).rejects.toMatchObject(unavailable);
    await expect(other.ping()).rejects.toMatchObject(unavailable);
    kv.up = true;
    expect(await opens(other, fresh)).toBe(true);
    await other.close();
  });

  it('is no place to move to, and says what is missing', async () => {
    const alone = following(local);
    await expect(alone.prepareMove('transit')).rejects.toThrow('MASTER_KEY transit is not configured: set VAULT_ADDR');
    kv.up = false;
    await expect(homes.prepareMove('kv')).rejects.toMatchObject(unavailable);
  });

  it('is not made anew where versions of the key were kept in it', async () => {
    const target = await move();
    kv.keys.clear();
    const later = following(local, kv);
    const refusal = await later.prepareMove('kv').catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StartupError);
    await expect(later.inHome('kv')).rejects.toMatchObject(unavailable);
    await expect(later.wrap(target, [{ key: newKey(), context }])).rejects.toMatchObject(unavailable);
    expect(kv.keys.size).toBe(0);
  });
});

describe('before the row can be read', () => {
  it('asks the home of MASTER_KEY for all that is new', async () => {
    spans = undefined;
    expect((await wrapOne(homes, 1)).wrapped.ciphertext).toMatch(/^local:/);
    expect([homes.home, (await homes.state()).current]).toEqual(['local', 1]);
  });

  it('opens what admitted homes wrapped, whichever MASTER_KEY names', async () => {
    await move();
    const [old, fresh] = [await wrapOne(local, 1), await wrapOne(kv, 2)];
    spans = undefined;
    for (const first of [local, kv]) {
      const starting = first === local ? following(local, kv) : following(kv, local);
      expect([await opens(starting, old), await opens(starting, fresh)]).toEqual([true, true]);
    }
  });

  it('opens nothing of a home that the installation does not name', async () => {
    await move();
    const fresh = await wrapOne(kv, 2);
    const starting = new RoutedMasterKey([local, kv]);
    starting.follow(['local'], () => Promise.resolve(undefined));
    expect(await opens(starting, fresh)).toBe(false);
  });
});

describe('While a first start has not opened the key yet', () => {
  it('a probe asks for no keyring, and does not keep the start from making it', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'coffer-homes-'));
    const starting = new RoutedMasterKey([new LocalMasterKey(empty, 'a root key of thirty-two characters')]);
    starting.follow(['local'], () => Promise.resolve(undefined));
    const said = jest.spyOn(Logger.prototype, 'error');
    try {
      await starting.ping();
      expect(said).not.toHaveBeenCalled();
      // Whoever may make the key does not share the fate of one who may not.
      const probe = starting.inHome('local').catch(() => undefined);
      await starting.open({ create: true });
      await probe;
      await starting.ping();
    } finally {
      said.mockRestore();
      await starting.close();
      await rm(empty, { recursive: true, force: true });
    }
  });

  it('a probe says what the last try of the start met', async () => {
    const starting = following(kv, local);
    kv.up = false;
    await expect(starting.open()).rejects.toMatchObject(unavailable);
    await expect(starting.ping()).rejects.toMatchObject(unavailable);
    kv.up = true;
    await starting.open();
    await starting.ping();
  });
});
