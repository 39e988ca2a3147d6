import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { type KeyFixture, openKeyFixture } from '../../../test/support/key-fixture';
import { PausedMasterKey, ROOT_KEY } from '../../../test/support/keys';
import { loseIndex } from '../../../test/support/lost-index';
import { RowWrapStore } from '../../../test/support/row-wrap-store';
import { newKey } from '../../crypto';
import { DomainError, plaintext, SystemClock } from '../../kernel';
import { wrapContext } from '../master-key';
import { SystemKeys, systemKeysCollection } from '../system-keys';
import { type UserKeyDoc, userKeysCollection } from '../user-keys/user-keys.collection';
import { KeyOverview, Retirement } from '.';
import { UserKeyRotator } from '../user-keys';

beforeAll(() => void Logger.overrideLogger(false));

let folder: string;
let fixture: KeyFixture;
let masterKey: PausedMasterKey;
let retirement: Retirement;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-retire-'));
  masterKey = new PausedMasterKey(folder, ROOT_KEY);
  fixture = await openKeyFixture(folder, { cacheMs: 0, masterKey });
  retirement = new Retirement(masterKey, fixture.row, fixture.systemKeys, fixture.rewrapper);
});
afterEach(async () => {
  await fixture.close();
  await rm(folder, { recursive: true, force: true });
});

const rows = () => fixture.store.collection(userKeysCollection);
const rowOf = async (owner: string): Promise<UserKeyDoc> => (await rows().find('_id', owner))!;
const versions = async (): Promise<number[]> => (await masterKey.state()).versions.map(({ version }) => version);
const place = { ownerId: 'a', resourceType: 'record', resourceId: 'r', field: 'f' };

describe('Retiring a master key version', () => {
  it('ends it and all before it, and leaves everything readable', async () => {
    await fixture.userKeys.create('a', 'a');
    const sealed = await fixture.sealer.with('a', (keys) => keys.seal('records', place, plaintext(Buffer.from('x'))));
    await fixture.rotations.rotateMasterKey('admin');
    await fixture.rotations.rotateMasterKey('admin');
    await retirement.retire(2);
    expect(await versions()).toEqual([3]);
    const opened = await fixture.sealer.with('a', (keys) => keys.open('records', place, sealed).toString());
    expect(opened).toBe('x');
  });

  it('moves the epoch and leaves the current version as it is', async () => {
    await fixture.rotations.rotateMasterKey('admin');
    const { epoch } = await fixture.row.read();
    await retirement.retire(1);
    expect(await fixture.row.read()).toMatchObject({ current: 2, epoch: epoch + 1 });
  });

  describe('whose walk takes longer than an answer may', () => {
    const late = { code: 'kms_unavailable', detail: expect.stringContaining('Nothing was retired') as string };
    let release: () => void;
    let walked: Promise<void>;
    let walks: jest.SpyInstance;
    beforeEach(async () => {
      await fixture.userKeys.create('a', 'a');
      await fixture.rotations.rotateMasterKey('admin');
      const walk = fixture.rewrapper.wrapsUpTo.bind(fixture.rewrapper);
      const held = new Promise<void>((resolve) => (release = resolve));
      let isWalked: () => void;
      walked = new Promise<void>((resolve) => (isWalked = resolve));
      walks = jest.spyOn(fixture.rewrapper, 'wrapsUpTo').mockImplementation(async (...args) => {
        const found = await walk(...args);
        isWalked();
        await held;
        return found;
      });
      retirement.walk.answerMs = 1;
    });
    afterEach(() => {
      release();
      jest.restoreAllMocks();
    });
    const inTime = (): Promise<void> => {
      retirement.walk.answerMs = 60_000;
      return retirement.retire(1);
    };

    it('says so and ends nothing, and the next call takes what it found', async () => {
      await expect(retirement.retire(1)).rejects.toMatchObject(late);
      await expect(retirement.retire(1)).rejects.toMatchObject(late);
      const { homes } = await fixture.row.read();
      expect([await versions(), homes?.[0]?.floor]).toEqual([[1, 2], undefined]);
      release();
      await inTime();
      expect([await versions(), walks.mock.calls.length]).toEqual([[2], 1]);
    });

    it('is not decided by what it found where somebody rotated or retired since', async () => {
      await expect(retirement.retire(1)).rejects.toMatchObject(late);
      await walked;
      await fixture.row.advance(await fixture.row.read(), 2);
      const behind = await rowOf('a');
      await rows().replace({
        ...behind,
        versions: behind.versions.map((entry) => ({ ...entry, wrapped: 'local:v1:AAAA' })),
      });
      release();
      await expect(inTime()).rejects.toMatchObject({ code: 'version_in_use' });
      expect([await versions(), walks.mock.calls.length]).toEqual([[1, 2], 2]);
    });

    it('holds off a retire of another version meanwhile', async () => {
      await fixture.rotations.rotateMasterKey('admin');
      await expect(retirement.retire(1)).rejects.toMatchObject(late);
      await expect(retirement.retire(2)).rejects.toMatchObject({ code: 'conflict' });
      expect(await versions()).toEqual([1, 2, 3]);
      await walked;
      release();
      await walks.mock.results[0]!.value;
      retirement.walk.answerMs = 60_000;
      await retirement.retire(2);
      expect(await versions()).toEqual([3]);
    });
  });

  it('is refused for the current version, with the number of keys on it', async () => {
    await fixture.userKeys.create('a', 'a');
    const refusal = { code: 'version_in_use', extensions: { count: 4 } };
    await expect(retirement.retire(1)).rejects.toMatchObject(refusal);
    expect(await versions()).toEqual([1]);
  });

  it('is refused for a version that the home has and the row does not name yet', async () => {
    await masterKey.rotate(1);
    await masterKey.rotate(2);
    await expect(retirement.retire(2)).rejects.toMatchObject({ code: 'version_in_use' });
    await expect(retirement.retire(1)).rejects.toMatchObject({ code: 'version_in_use' });
  });

  it('is not_found for a version that there is not, or no more', async () => {
    await fixture.rotations.rotateMasterKey('admin');
    await retirement.retire(1);
    for (const version of [1, 99])
      await expect(retirement.retire(version)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is refused while a key in quarantine is on it', async () => {
    await fixture.userKeys.create('a', 'a');
    const row = await rowOf('a');
    const broken = row.versions.map((entry) => ({ ...entry, wrapped: 'local:v1:AAAA' }));
    await rows().replace({ ...row, versions: broken });
    await fixture.rotations.rotateMasterKey('admin');
    await expect(retirement.retire(1)).rejects.toMatchObject({ code: 'version_in_use', extensions: { count: 1 } });
    expect(await versions()).toEqual([1, 2]);
  });

  it('is refused while a pending row is on it', async () => {
    await fixture.userKeys.create('a', 'a');
    const pending = { ...(await rowOf('a')), state: 'pending' as const };
    await fixture.rotations.rotateMasterKey('admin');
    await rows().replace({ ...pending, rev: (await rowOf('a')).rev });
    await expect(retirement.retire(1)).rejects.toMatchObject({ code: 'version_in_use', extensions: { count: 1 } });
  });

  it('counts a row of several versions by the oldest one in it', async () => {
    await fixture.userKeys.create('a', 'a');
    const row = await rowOf('a');
    await fixture.rotations.rotateMasterKey('admin');
    await rows().replace({ ...row, rev: (await rowOf('a')).rev });
    await fixture.rotations.rotateMasterKey('admin');
    const now = await rowOf('a');
    await rows().replace({ ...row, versions: row.versions, rev: now.rev });
    await expect(retirement.retire(2)).rejects.toMatchObject({ code: 'version_in_use', extensions: { count: 1 } });
  });

  describe('rests on the rows and wraps themselves', () => {
    const system = () => fixture.engine.collection(systemKeysCollection);
    const systemRow = async () => (await system().find('_id', 'integrity'))!;
    const raw = () => fixture.engine.collection({ ...userKeysCollection, authenticated: false });

    it('whatever the column of a system key says: it is wrapped anew, and opens afterwards', async () => {
      await system().replace({ ...(await systemRow()), master_version: 99 });
      expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({ state: 'done' });
      expect(await systemRow()).toMatchObject({ master_version: 2, wrapped: expect.stringMatching(/^local:v2:/) });
      await retirement.retire(1);
      const again = new SystemKeys(fixture.engine, masterKey);
      expect(await again.open()).toEqual([]);
      expect(again.integrity.bytes.equals(fixture.systemKeys.integrity.bytes)).toBe(true);
    });

    it.each([
      ['names another version than its wrap', { master_version: 99 }],
      ['does not open', { wrapped: 'local:v2:AAAA', master_version: 2 }],
    ])('and refuses by name where a system key %s', async (_, change) => {
      await fixture.rotations.rotateMasterKey('admin');
      await system().replace({ ...(await systemRow()), ...change });
      const refusal = { code: 'integrity_failed', detail: expect.stringContaining('system key integrity') };
      await expect(retirement.retire(1)).rejects.toMatchObject(refusal);
      expect(await versions()).toEqual([1, 2]);
    });

    it('and counts a system key that was put back, and one that another release made', async () => {
      const former = await systemRow();
      const [other] = await masterKey.wrap(1, [{ key: newKey(), context: wrapContext('integrity', 'x', 1) }]);
      await fixture.rotations.rotateMasterKey('admin');
      await system().insert({ _id: 'of-another-release', wrapped: other!.ciphertext, master_version: 1 });
      const inUse = { code: 'version_in_use', extensions: { count: 1 } };
      await expect(retirement.retire(1)).rejects.toMatchObject(inUse);
      await system().remove('of-another-release');
      await system().replace({ ...former, rev: (await systemRow()).rev });
      await expect(retirement.retire(1)).rejects.toMatchObject(inUse);
      expect(await versions()).toEqual([1, 2]);
    });

    it('and finds a key that an index has lost', async () => {
      await fixture.userKeys.create('a', 'a');
      const row = await rowOf('a');
      await fixture.rotations.rotateMasterKey('admin');
      await rows().replace({ ...row, rev: (await rowOf('a')).rev });
      await loseIndex(folder, userKeysCollection, 'due');
      expect(await fixture.rewrapper.countWrappedBy(1)).toBe(0);
      await expect(retirement.retire(1)).rejects.toMatchObject({ code: 'version_in_use', extensions: { count: 1 } });
      expect(await versions()).toEqual([1, 2]);
    });

    it('and names a row that fails MAC verification: nobody can say what it needs', async () => {
      await fixture.userKeys.create('a', 'a');
      await fixture.rotations.rotateMasterKey('admin');
      const row = (await raw().find('_id', 'a'))!;
      await raw().replace({ ...row, epoch: 9, master_version: 2 });
      const refusal = { code: 'integrity_failed', detail: expect.stringContaining(': a. '), extensions: { count: 1 } };
      await expect(retirement.retire(1)).rejects.toMatchObject(refusal);
      expect(await versions()).toEqual([1, 2]);
      await raw().remove('a');
      await retirement.retire(1);
    });

    it('and not on the columns of a row, which a rotation puts into quarantine where they contradict the wrap', async () => {
      await fixture.userKeys.create('a', 'a');
      const row = await rowOf('a');
      const claimed = row.versions.map((entry) => ({ ...entry, master_version: 7 }));
      await rows().replace({ ...row, versions: claimed, master_version: 7 });
      expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({ state: 'done', failed: 1 });
      expect(await rowOf('a')).toMatchObject({ quarantined: true, quarantine: expect.stringContaining('another') });
      await expect(retirement.retire(1)).rejects.toMatchObject({ code: 'version_in_use', extensions: { count: 1 } });
    });

    it('and walks again where somebody rotated, or put the master key row back, since before the walk', async () => {
      await fixture.rotations.rotateMasterKey('admin');
      const walk = fixture.rewrapper.wrapsUpTo.bind(fixture.rewrapper);
      let walks = 0;
      jest.spyOn(fixture.rewrapper, 'wrapsUpTo').mockImplementation(async (...args) => {
        const found = await walk(...args);
        if ((walks += 1) === 1) await fixture.row.advance(await fixture.row.read(), 2);
        return found;
      });
      await retirement.retire(1);
      expect([walks, await versions()]).toEqual([2, [2]]);
    });
  });

  it('lets a new owner, whose key was wrapped before it and stored after it, come out with a key that opens', async () => {
    masterKey.afterWrap = async () => {
      await fixture.rotations.rotateMasterKey('admin');
      await retirement.retire(1);
    };
    await fixture.userKeys.create('late', 'late');
    expect(await rowOf('late')).toMatchObject({ state: 'active', versions: [{ master_version: 2 }] });
    await fixture.sealer.with('late', (keys) => keys.nameIndex('x'));
  });

  it('lets a new version of a user key, wrapped before it and stored after it, be one that opens', async () => {
    await fixture.userKeys.create('a', 'a');
    const rotator = new UserKeyRotator(fixture.store, masterKey, fixture.row, new SystemClock(), new RowWrapStore());
    const index = await fixture.sealer.with('a', (keys) => keys.nameIndex('x'));
    masterKey.afterWrap = async () => {
      await fixture.rotations.rotateMasterKey('admin');
      await retirement.retire(1);
    };
    expect(await rotator.advance('a', 1)).toBe(2);
    expect((await rowOf('a')).versions.map((entry) => entry.master_version)).toEqual([2, 2]);
    expect(await fixture.sealer.with('a', (keys) => keys.nameIndex('x'))).toBe(index);
  });

  it('may be done by several processes at the same time', async () => {
    await fixture.userKeys.create('a', 'a');
    await fixture.rotations.rotateMasterKey('admin');
    const all = await Promise.allSettled([1, 2, 3].map(() => retirement.retire(1)));
    expect(all.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    expect(await versions()).toEqual([2]);
  });

  it('is told by GET /keys without a count: where the store does not say in time, a version may be in use', async () => {
    await fixture.userKeys.create('a', 'a');
    const rotator = new UserKeyRotator(fixture.store, masterKey, fixture.row, new SystemClock(), new RowWrapStore());
    const overview = new KeyOverview(masterKey, fixture.row, fixture.systemKeys, fixture.rewrapper, rotator);
    await fixture.rotations.rotateMasterKey('admin');
    const limits: unknown[] = [];
    jest.spyOn(fixture.rewrapper, 'countWrappedBy').mockImplementation((_, limit) => {
      limits.push(limit);
      return Promise.reject(new DomainError('store_unavailable'));
    });
    expect((await overview.masterKeyNow()).versions.map(({ inUse }) => inUse)).toEqual([true, true]);
    expect(limits).toEqual([1]);
  });

  it('is told by GET /keys with one deadline for all versions, some of them asked for at once', async () => {
    await fixture.userKeys.create('a', 'a');
    for (let n = 0; n < 11; n += 1) await fixture.rotations.rotateMasterKey('admin');
    const rotator = new UserKeyRotator(fixture.store, masterKey, fixture.row, new SystemClock(), new RowWrapStore());
    const overview = new KeyOverview(masterKey, fixture.row, fixture.systemKeys, fixture.rewrapper, rotator);
    const [asked, released]: [number[], (() => void)[]] = [[], []];
    jest.spyOn(fixture.rewrapper, 'countWrappedBy').mockImplementation((version) => {
      asked.push(version);
      if (version <= 2) return Promise.resolve(0);
      return new Promise((resolve) => released.push(() => resolve(0)));
    });
    const { versions: told } = await overview.masterKeyNow();
    expect(told.filter(({ inUse }) => !inUse).map(({ version }) => version)).toEqual([1, 2]);
    expect(asked).toEqual([1, 2, 3, 4, 5, 6]);
    for (const release of released) release();
    await new Promise(setImmediate);
    expect(asked).toHaveLength(6);
  });

  it('is what GET /keys says: in use is what cannot be retired', async () => {
    await fixture.userKeys.create('a', 'a');
    const rotator = new UserKeyRotator(fixture.store, masterKey, fixture.row, new SystemClock(), new RowWrapStore());
    const overview = new KeyOverview(masterKey, fixture.row, fixture.systemKeys, fixture.rewrapper, rotator);
    await fixture.rotations.rotateMasterKey('admin');
    expect((await overview.masterKeyNow()).versions.map(({ inUse }) => inUse)).toEqual([false, true]);
    await retirement.retire(1);
    expect((await overview.masterKeyNow()).versions).toEqual([expect.objectContaining({ version: 2, inUse: true })]);
  });
});
