import {
  type KeyFixtures,
  moveMasterKey,
  openKeyFixtures,
  PausedMasterKey,
  ROOT_KEY,
  temporaryFolder,
} from '../../../test/support/keys';
import { AuditSink, Clock, DAY, HOUR, plaintext } from '../../kernel';
import { OrphanedKeys } from '.';

class MovableClock extends Clock {
  ms = 1_700_000_000_000;

  now(): number {
    return this.ms;
  }
}

describe('User keys', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let fixtures: KeyFixtures;
  let masterKey: PausedMasterKey;
  const clock = new MovableClock();

  beforeEach(async () => {
    folder = await temporaryFolder();
    masterKey = new PausedMasterKey(folder.path, ROOT_KEY);
    fixtures = await openKeyFixtures(folder.path, { masterKey, clock });
  });
  afterEach(async () => {
    await fixtures.close();
    await folder.remove();
  });

  const row = async (ownerId = 'alice') => (await fixtures.rows.find('_id', ownerId))!;
  const place = { ownerId: 'alice', resourceType: 'record', resourceId: 'r', field: 'value' };
  const sealAndOpen = (): Promise<string> =>
    fixtures.sealer.with('alice', (keys) =>
      keys.open('records', place, keys.seal('records', place, plaintext(Buffer.from('x')))).toString(),
    );

  it('are stored wrapped by the current master key version and active', async () => {
    await fixtures.userKeys.create('alice', 'alice');
    expect(await row()).toMatchObject({ state: 'active', current: 1, epoch: 1, master_version: 1, quarantined: false });
    expect((await row()).versions).toEqual([
      { version: 1, wrapped: expect.stringMatching(/^local:v1:/) as string, master_version: 1, created_at: clock.ms },
    ]);
  });

  it('are not made again when asked for again', async () => {
    await fixtures.userKeys.create('alice', 'alice');
    const before = await row();
    await fixtures.userKeys.create('alice', 'alice');
    expect(await row()).toEqual({ ...before, rev: before.rev + 1 });
  });

  it('are made once by two processes that are asked at the same time, and both can use them', async () => {
    const other = await openKeyFixtures(folder.path);
    const creators = Array.from({ length: 20 }, (_, at) =>
      (at % 2 === 0 ? fixtures : other).userKeys.create('alice', 'alice'),
    );
    await Promise.all(creators);
    const index = (from: KeyFixtures) => from.sealer.with('alice', (keys) => keys.nameIndex('name'));
    expect(await index(fixtures)).toBe(await index(other));
    await other.close();
  });

  it('differ between owners', async () => {
    await Promise.all([fixtures.userKeys.create('alice', 'alice'), fixtures.userKeys.create('bob', 'bob')]);
    const indexes = await Promise.all(
      ['alice', 'bob'].map((owner) => fixtures.sealer.with(owner, (keys) => keys.nameIndex('name'))),
    );
    expect(indexes[0]).not.toBe(indexes[1]);
  });

  it('become active under the new version where the master key was rotated between wrap and insert', async () => {
    masterKey.afterWrap = () => moveMasterKey(fixtures);
    await fixtures.userKeys.create('alice', 'alice');
    expect(await row()).toMatchObject({ state: 'active', master_version: 2, master_epoch: 2 });
    expect(await sealAndOpen()).toBe('x');
  });

  it('are not missed by a rotation whose rescan ended before the slow writer stored its row', async () => {
    masterKey.afterWrap = async () => {
      const target = await moveMasterKey(fixtures);
      expect(await fixtures.rewrapper.remaining(target)).toBe(0);
    };
    await fixtures.userKeys.create('alice', 'alice');
    expect(await fixtures.rewrapper.countWrappedBy(1)).toBe(0);
  });

  it('go on with the pending row of a process that died, wrapped anew where the epoch moved since', async () => {
    await fixtures.userKeys.create('alice', 'alice');
    const active = await row();
    await fixtures.rows.replace({ ...active, state: 'pending' });
    await moveMasterKey(fixtures);
    await fixtures.userKeys.create('alice', 'alice');
    expect(await row()).toMatchObject({ state: 'active', master_version: 2, master_epoch: 2 });
    expect(await sealAndOpen()).toBe('x');
  });

  it('are made anew where the wrap of a dead process’s pending row no longer opens', async () => {
    await fixtures.userKeys.create('alice', 'alice');
    const active = await row();
    const versions = active.versions.map((entry) => ({ ...entry, wrapped: 'local:v1:AAAA' }));
    await fixtures.rows.replace({ ...active, state: 'pending', versions });
    await moveMasterKey(fixtures);
    await fixtures.userKeys.create('alice', 'alice');
    expect(await sealAndOpen()).toBe('x');
  });

  it('are of no use while they are pending', async () => {
    await fixtures.userKeys.create('alice', 'alice');
    await fixtures.rows.replace({ ...(await row()), state: 'pending' });
    await expect(sealAndOpen()).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are not made while the master key is away, and nothing is left behind', async () => {
    await fixtures.row.advance(await fixtures.row.read(), 7); // a version that the home does not have
    await expect(fixtures.userKeys.create('alice', 'alice')).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect(await fixtures.rows.find('_id', 'alice')).toBeUndefined();
  });

  describe('when they are destroyed', () => {
    beforeEach(async () => {
      await fixtures.userKeys.create('alice', 'alice');
      await sealAndOpen();
      await fixtures.userKeys.destroy('alice');
    });

    it('leave a tombstone without any key bytes', async () => {
      const tombstone = await row();
      expect(tombstone).toMatchObject({ state: 'erased', epoch: 2, versions: [], wrapped_name_key: '' });
      expect(tombstone.master_version).toBeUndefined();
    });

    it('open nothing any more', async () => {
      await expect(sealAndOpen()).rejects.toMatchObject({ code: 'not_found' });
      expect(fixtures.cache.size).toBe(0);
    });

    it('are never made again for that owner', async () => {
      await expect(fixtures.userKeys.create('alice', 'alice')).rejects.toMatchObject({ code: 'not_found' });
    });

    it('may be destroyed again', async () => {
      const before = await row();
      await fixtures.userKeys.destroy('alice');
      expect(await row()).toEqual(before);
    });

    it('hold up no rotation', async () => {
      const target = await moveMasterKey(fixtures);
      expect(await fixtures.rewrapper.rewrapBatch(target)).toMatchObject({ attempted: 0, failed: [], forged: [] });
    });
  });

  it('of an owner who never had any may be destroyed, and that owner gets none later', async () => {
    await fixtures.userKeys.destroy('nobody');
    await fixtures.userKeys.destroy('nobody');
    expect(await fixtures.rows.find('_id', 'nobody')).toMatchObject({ state: 'erased', versions: [] });
    await expect(fixtures.userKeys.create('nobody', 'x')).rejects.toMatchObject({ code: 'not_found' });
  });

  describe('and the sweeper', () => {
    beforeEach(async () => {
      for (const owner of ['old', 'active', 'young']) {
        if (owner === 'young') clock.ms += DAY;
        await fixtures.userKeys.create(owner, owner);
        if (owner !== 'active') await fixtures.rows.replace({ ...(await row(owner)), state: 'pending' });
      }
    });

    it('ends pending ones that nobody works on any more, and no others', async () => {
      expect(await fixtures.sweeper.sweep(HOUR)).toBe(1);
      const left = await Promise.all(['old', 'active', 'young'].map((owner) => fixtures.rows.find('_id', owner)));
      expect(left.map((found) => found?.state)).toEqual(['erased', 'active', 'pending']);
    });

    it('leaves a key without an account to a registration that comes back to it while the sweeper sleeps', async () => {
      clock.ms -= DAY - HOUR;
      const accounts = {
        nameOf: async (owner: string): Promise<string | undefined> => {
          if (owner === 'active') await fixtures.userKeys.create(owner, owner);
          return owner === 'active' ? undefined : owner;
        },
      };
      const audit = { begin: () => Promise.resolve({ close: () => undefined }) } as unknown as AuditSink;
      const orphaned = new OrphanedKeys(fixtures.store, clock, accounts, fixtures.userKeys, audit);
      expect(await orphaned.sweep(() => Promise.resolve(false))).toBe(0);
      expect((await row('active')).state).toBe('active');
      const gone = { nameOf: () => Promise.resolve(undefined) };
      const later = new OrphanedKeys(fixtures.store, clock, gone, fixtures.userKeys, audit);
      expect(await later.sweep(() => Promise.resolve(true))).toBe(0);
      expect(await later.sweep(() => Promise.resolve(false))).toBe(1);
      expect((await row('active')).state).toBe('erased');
    });

    it('ends no key that is older than a day: whose account is missing then was taken away', async () => {
      const audit = { begin: () => Promise.resolve({ close: () => undefined }) } as unknown as AuditSink;
      const gone = { nameOf: () => Promise.resolve(undefined) };
      const orphaned = new OrphanedKeys(fixtures.store, clock, gone, fixtures.userKeys, audit);
      clock.ms += 1; // `active` is a day and a millisecond old
      expect(await orphaned.sweep(() => Promise.resolve(false))).toBe(0);
      expect((await row('active')).state).toBe('active');
    });

    it('ends no key while more keys lack an account than have one, as in a restore of accounts', async () => {
      const owners = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
      for (const owner of owners) await fixtures.userKeys.create(owner, owner);
      clock.ms += HOUR;
      const audit = { begin: () => Promise.resolve({ close: () => undefined }) } as unknown as AuditSink;
      const sweep = (missing: readonly string[]): Promise<number> => {
        const accounts = { nameOf: (owner: string) => Promise.resolve(missing.includes(owner) ? undefined : owner) };
        return new OrphanedKeys(fixtures.store, clock, accounts, fixtures.userKeys, audit).sweep(() =>
          Promise.resolve(false),
        );
      };
      expect(await sweep(owners)).toBe(0);
      expect((await row('a')).state).toBe('active');
      expect(await sweep(['a', 'b', 'c', 'd'])).toBe(4);
      expect((await row('a')).state).toBe('erased');
    });

    it('loses nothing of a living writer, however long that one slept: it starts again', async () => {
      masterKey.afterWrap = () => Promise.resolve();
      const sleeping = await row('young');
      expect(await fixtures.sweeper.sweep(-DAY)).toBe(2);
      expect(await fixtures.rows.replace({ ...sleeping, state: 'active' })).toBeUndefined();
      await fixtures.userKeys.create('young', 'young');
      expect((await row('young')).state).toBe('active');
    });
  });
});
