import { Logger } from '@nestjs/common';
import { newId } from '../../src/kernel';
import type { UserKeyDoc } from '../../src/keys/user-keys';
import { Immovable, type RoutedWrapStore } from '../../src/keys/user-keys/wrap-store';
import { beginRelocation, endRelocation, type WrapLocation, WRAPS } from '../../src/installation';
import { type KeyFixtures, moveMasterKey, openKeyFixtures, temporaryFolder } from '../support/keys';
import { openRoutedWrapStore, openWrapStore } from '../support/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';

beforeAll(() => void Logger.overrideLogger(false));

describeWithPart('openbao', 'Wraps in Vault that are newer than a store that was restored', () => {
  let bao: Bao;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let homes: RoutedWrapStore;
  let fixtures: KeyFixtures;
  let alice: string;
  let beforeMove: UserKeyDoc;
  let key: string;

  beforeAll(async () => {
    bao = await startOpenBao();
  });
  beforeEach(async () => {
    folder = await temporaryFolder();
    const vault = await openWrapStore(bao);
    fixtures = await openKeyFixtures(folder.path, {
      cacheMs: 0,
      home: async (store, masterKey) => (homes = await openRoutedWrapStore(store, masterKey, vault, 'store')),
    });
    alice = newId();
    await fixtures.userKeys.create(alice, alice);
    [beforeMove, key] = [await row(), await index()];
    await move('vault');
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await fixtures.close();
    await folder.remove();
  });
  afterAll(() => bao.stop());

  const row = async (): Promise<UserKeyDoc> => (await fixtures.rows.find('_id', alice))!;
  /** The name key opens with whatever version seals it, and never changes. */
  const index = (): Promise<string> => fixtures.sealer.with(alice, (keys) => keys.nameIndex('name'));
  const move = async (to: WrapLocation): Promise<void> => {
    await beginRelocation(fixtures.store, WRAPS, to);
    while (!(await homes.move(await row(), to)));
    await endRelocation(fixtures.store, WRAPS, to);
  };
  /** The row of a backup, in the place of today's. */
  const restore = async (backup: UserKeyDoc): Promise<void> => {
    expect(await fixtures.rows.replace({ ...backup, rev: (await row()).rev })).toBeDefined();
  };
  const inVault = async (): Promise<{ readonly version: number; readonly document: Record<string, unknown> }> => {
    const { data } = await bao.request<{
      data: { data: Record<string, unknown>; metadata: { version: number } };
    }>('GET', `kv/data/user_keys/${alice}`);
    return { version: data.metadata.version, document: data.data };
  };
  const told = (): jest.SpyInstance => jest.spyOn(Logger.prototype, 'warn');

  it('stay when the keys move there again, and open a later backup as they did', async () => {
    await fixtures.rotator.advance(alice, 1);
    const later = await row();
    await restore(beforeMove);
    const warn = told();
    await move('vault');
    expect(await index()).toBe(key);
    expect(warn.mock.calls.flat().join()).toContain(alice);
    await restore(later);
    expect(await index()).toBe(key);
  });

  it('stay where only the master key version is newer', async () => {
    const target = await moveMasterKey(fixtures);
    await fixtures.rewrapper.rewrapBatch(target);
    const later = await row();
    await restore(beforeMove);
    await move('vault');
    expect((await inVault()).document).toMatchObject({ master_version: target });
    await fixtures.masterKey.retire(target - 1);
    expect(await index()).toBe(key);
    await restore(later);
    expect(await index()).toBe(key);
  });

  it('stay by the hand of several that move the same owner at once', async () => {
    await fixtures.rotator.advance(alice, 1);
    const later = await row();
    await restore(beforeMove);
    await Promise.all([1, 2, 3].map(() => move('vault')));
    expect(await index()).toBe(key);
    await restore(later);
    expect(await index()).toBe(key);
  });

  it('are not written over by another key of the same version: that owner stays in the store', async () => {
    await fixtures.rotator.advance(alice, 1);
    const later = await row();
    await restore(beforeMove);
    await beginRelocation(fixtures.store, WRAPS, 'store');
    await endRelocation(fixtures.store, WRAPS, 'store');
    await fixtures.rotator.advance(alice, 1);
    const before = await inVault();
    await expect(move('vault')).rejects.toBeInstanceOf(Immovable);
    await expect(move('vault')).rejects.toThrow(/integrity_failed|version 2/);
    expect([await inVault(), await index()]).toEqual([before, key]);
    await restore(later);
    expect(await index()).toBe(key);
  });

  it('are not written over where the master key version of the store is retired', async () => {
    const target = await moveMasterKey(fixtures);
    await fixtures.rewrapper.rewrapBatch(target);
    await fixtures.masterKey.retire(target - 1);
    const [later, before] = [await row(), await inVault()];
    await restore(beforeMove);
    await expect(move('vault')).rejects.toBeInstanceOf(Immovable);
    expect(await inVault()).toEqual(before);
    await restore(later);
    expect(await index()).toBe(key);
  });

  it('are not destroyed by a move to the store, until the key is rotated past them', async () => {
    const former = await row();
    await fixtures.rotator.advance(alice, 1);
    const later = await row();
    await restore(former);
    const before = await inVault();
    await expect(move('store')).rejects.toBeInstanceOf(Immovable);
    expect(await inVault()).toEqual(before);
    await restore(later);
    expect(await index()).toBe(key);
    await restore(former);
    await fixtures.rotator.advance(alice, 1);
    await fixtures.strays.remove(alice);
    await move('store');
    expect([await index(), (await inVault()).document]).toEqual([key, { state: 'free' }]);
  });
});
