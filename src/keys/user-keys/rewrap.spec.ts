import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type KeyFixtures,
  moveMasterKey,
  openKeyFixtures,
  rewrapAll,
  temporaryFolder,
} from '../../../test/support/keys';
import { newKey } from '../../crypto';
import { Metrics } from '../../observability';
import type { Position } from '../../store';
import { SystemClock } from '../../kernel';
import { KeyMetrics } from '../rotation/key-metrics';
import { KeyOverview } from '../rotation/key-overview';
import { SystemKeys } from '../system-keys';
import { userKeyContext } from './wraps';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';

describe('Wrapping user keys again', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let fixtures: KeyFixtures;
  const owners = ['a', 'b', 'c', 'd', 'e'];

  beforeEach(async () => {
    folder = await temporaryFolder();
    fixtures = await openKeyFixtures(folder.path, { cacheMs: 0 });
    for (const owner of owners) await fixtures.userKeys.create(owner, owner);
  });
  afterEach(async () => {
    await fixtures.close();
    await folder.remove();
  });

  const row = async (owner: string): Promise<UserKeyDoc> => (await fixtures.rows.find('_id', owner))!;
  const spoil = async (owner: string): Promise<void> => {
    const doc = await row(owner);
    const versions = doc.versions.map((entry) => ({ ...entry, wrapped: 'local:v1:AAAA' }));
    await fixtures.rows.replace({ ...doc, versions });
  };
  const index = (owner: string): Promise<string> => fixtures.sealer.with(owner, (keys) => keys.nameIndex('name'));

  it('has nothing to do for the version that is current', async () => {
    const nothing = { attempted: 0, done: 0, failed: [], forged: [], lowest: 1, next: undefined };
    expect(await fixtures.rewrapper.rewrapBatch(1)).toEqual(nothing);
  });

  it('moves all rows to the target and keeps the keys', async () => {
    const before = await Promise.all(owners.map(index));
    const target = await moveMasterKey(fixtures);
    expect(await fixtures.rewrapper.rewrapBatch(target)).toMatchObject({
      attempted: 5,
      done: 5,
      failed: [],
      forged: [],
    });
    expect((await row('a')).versions[0]!.wrapped).toMatch(/^local:v2:/);
    expect(await Promise.all(owners.map(index))).toEqual(before);
  });

  it('does not move the epoch: what is cached stays good', async () => {
    const { epoch } = await row('a');
    await fixtures.rewrapper.rewrapBatch(await moveMasterKey(fixtures));
    expect((await row('a')).epoch).toBe(epoch);
  });

  it('looks at no more rows than it is told, and the next batch goes on behind them', async () => {
    const target = await moveMasterKey(fixtures);
    const done: [number, number][] = [];
    let after: Position | undefined;
    do {
      const batch = await fixtures.rewrapper.rewrapBatch(target, 2, { after });
      done.push([batch.done, await fixtures.rewrapper.remaining(target)]);
      after = batch.next;
    } while (after !== undefined);
    expect(done).toEqual([
      [2, 3],
      [2, 1],
      [1, 0],
    ]);
  });

  it('tells the lowest version that rows need which it did not take', async () => {
    await fixtures.rewrapper.rewrapBatch(await moveMasterKey(fixtures));
    expect(await fixtures.rewrapper.rewrapBatch(2)).toMatchObject({ attempted: 0, lowest: 2 });
  });

  it.each([1, 2, 3, 5])('does all of a batch in parts of %i, each row once', async (part) => {
    const target = await moveMasterKey(fixtures);
    expect(await fixtures.rewrapper.rewrapBatch(target, 100, { part })).toMatchObject({ attempted: 5, done: 5 });
    expect(await fixtures.rewrapper.rewrapBatch(target, 100, { part })).toMatchObject({ attempted: 0 });
  });

  it('ends between two parts where it is told to, and the next batch goes on from there', async () => {
    const target = await moveMasterKey(fixtures);
    let asked = 0;
    const goesOn = (): Promise<boolean> => Promise.resolve((asked += 1) < 2);
    const batch = await fixtures.rewrapper.rewrapBatch(target, 100, { part: 1, goesOn });
    expect(batch).toMatchObject({ attempted: 2, done: 2 });
    const rest = await fixtures.rewrapper.rewrapBatch(target, 100, { after: batch.next });
    expect(rest).toMatchObject({ attempted: 3, done: 3, next: undefined });
  });

  it('writes what is under way where it may not go on, and nothing after that', async () => {
    const target = await moveMasterKey(fixtures);
    const goesOn = (): Promise<boolean> => Promise.reject(new Error('no longer held'));
    await expect(fixtures.rewrapper.rewrapBatch(target, 100, { part: 2, goesOn })).rejects.toThrow('no longer held');
    expect(await fixtures.rewrapper.remaining(target)).toBe(3);
  });

  it('takes pending rows along', async () => {
    await fixtures.rows.replace({ ...(await row('c')), state: 'pending' });
    const target = await moveMasterKey(fixtures);
    expect((await fixtures.rewrapper.rewrapBatch(target)).done).toBe(5);
    expect((await row('c')).state).toBe('pending');
  });

  it('moves every version in a row, each by its own wrap', async () => {
    const [second] = await fixtures.masterKey.wrap(1, [{ key: newKey(), context: userKeyContext('a', 2) }]);
    const doc = await row('a');
    const entry = { version: 2, wrapped: second!.ciphertext, master_version: 1, created_at: 0 };
    await fixtures.rows.replace({ ...doc, current: 2, versions: [...doc.versions, entry] });
    const before = await index('a');
    await fixtures.rewrapper.rewrapBatch(await moveMasterKey(fixtures));
    expect((await row('a')).versions.map(({ version, master_version }) => [version, master_version])).toEqual([
      [1, 2],
      [2, 2],
    ]);
    expect(await index('a')).toBe(before);
  });

  it('goes over several rotations, whatever version a row needs', async () => {
    await fixtures.rewrapper.rewrapBatch(await moveMasterKey(fixtures), 3);
    const target = await moveMasterKey(fixtures);
    expect(await fixtures.rewrapper.rewrapBatch(target, 4)).toMatchObject({ done: 4 });
    expect(await fixtures.rewrapper.remaining(target)).toBe(1);
    expect(await fixtures.rewrapper.countWrappedBy(1)).toBe(1);
    expect(await fixtures.rewrapper.countWrappedBy(2)).toBe(0);
  });

  describe('where a row does not unwrap', () => {
    let target: number;

    beforeEach(async () => {
      await spoil('b');
      target = await moveMasterKey(fixtures);
    });

    it('puts that one into quarantine with a reason and moves its neighbours', async () => {
      const batch = await fixtures.rewrapper.rewrapBatch(target);
      expect(batch).toMatchObject({ attempted: 5, done: 4, failed: ['b'], forged: [] });
      const spoilt = await row('b');
      expect(spoilt).toMatchObject({ quarantined: true, quarantine_target: target, master_version: 1 });
      expect(spoilt.quarantine).not.toBe('');
    });

    it('is told to the metrics, and is not any more once it is out of quarantine', async () => {
      const metrics = new Metrics();
      const { store, engine, masterKey, rewrapper, rotator } = fixtures;
      const systemKeys = new SystemKeys(engine, masterKey);
      const overview = new KeyOverview(masterKey, fixtures.row, systemKeys, rewrapper, rotator);
      new KeyMetrics(overview, store, new SystemClock(), metrics).onModuleInit();
      expect(await metrics.registry.metrics()).toContain('coffer_user_keys_quarantined 0\n');
      await fixtures.rewrapper.rewrapBatch(target);
      expect(await metrics.registry.metrics()).toContain('coffer_user_keys_quarantined 1\n');
      const rows = fixtures.store.collection(userKeysCollection);
      await rows.replace({ ...(await row('b')), quarantined: false });
      expect(await metrics.registry.metrics()).toContain('coffer_user_keys_quarantined 0\n');
    });

    it('does not try it again for the same target', async () => {
      await fixtures.rewrapper.rewrapBatch(target);
      const before = await row('b');
      expect(await fixtures.rewrapper.rewrapBatch(target)).toMatchObject({ done: 0, failed: [] });
      expect(await row('b')).toEqual(before);
    });

    it('counts it for the version that it still needs', async () => {
      await fixtures.rewrapper.rewrapBatch(target);
      expect(await fixtures.rewrapper.countWrappedBy(1)).toBe(1);
      expect(await fixtures.rewrapper.quarantinedFor(target)).toBe(1);
    });

    it('tries it again for the next target, once', async () => {
      await fixtures.rewrapper.rewrapBatch(target);
      const next = await moveMasterKey(fixtures);
      expect(await fixtures.rewrapper.remaining(next)).toBe(5);
      expect(await fixtures.rewrapper.rewrapBatch(next)).toMatchObject({ attempted: 5, done: 4, failed: ['b'] });
      expect(await fixtures.rewrapper.rewrapBatch(next)).toMatchObject({ done: 0, failed: [] });
    });

    it('lets it out of quarantine where it unwraps again', async () => {
      const sound = await row('a');
      await fixtures.rewrapper.rewrapBatch(target);
      await fixtures.rows.remove('b');
      const { quarantine: _, quarantine_target: __, ...doc } = await row('a');
      await fixtures.rows.replace({
        ...doc,
        versions: sound.versions,
        master_version: 1,
        quarantined: true,
        quarantine: 'x',
        quarantine_target: target,
      });
      const next = await moveMasterKey(fixtures);
      expect((await fixtures.rewrapper.rewrapBatch(next)).failed).toEqual([]);
      expect(await row('a')).toMatchObject({ quarantined: false, master_version: next });
      expect(await row('a')).not.toHaveProperty('quarantine');
    });
  });

  it('names a row that fails MAC verification, writes nothing to it and moves its neighbours', async () => {
    const rows = fixtures.engine.collection({ ...fixtures.rows.definition, authenticated: false });
    await rows.replace({ ...(await rows.find('_id', 'b'))!, epoch: 9 });
    const before = await rows.find('_id', 'b');
    const target = await moveMasterKey(fixtures);
    expect(await fixtures.rewrapper.rewrapBatch(target)).toMatchObject({
      done: 4,
      failed: [],
      forged: ['b'],
    });
    expect(await fixtures.rewrapper.remaining(target)).toBe(1);
    expect(await rows.find('_id', 'b')).toEqual(before);
  });

  it('is shared by processes that work at the same time: each row once, none lost', async () => {
    const other = await openKeyFixtures(folder.path, { cacheMs: 0 });
    const target = await moveMasterKey(fixtures);
    const done = await Promise.all([fixtures, other, fixtures, other].map((from) => rewrapAll(from, target, 3)));
    expect(done.reduce((sum, written) => sum + written, 0)).toBe(5);
    await other.close();
  });

  it('quarantines nothing because of an outage', async () => {
    const target = await moveMasterKey(fixtures);
    await fixtures.masterKey.close();
    await rm(join(folder.path, 'keyring.json'));
    await expect(fixtures.rewrapper.rewrapBatch(target)).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect(await fixtures.rewrapper.remaining(target)).toBe(5);
    expect(await fixtures.rewrapper.quarantinedFor(target)).toBe(0);
  });
});
