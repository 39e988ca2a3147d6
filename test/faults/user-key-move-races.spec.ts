import { Logger } from '@nestjs/common';
import { newId } from '../../src/kernel';
import { BackupExposure, type UserKeyDoc } from '../../src/keys/user-keys';
import { Immovable, type RoutedWrapStore } from '../../src/keys/user-keys/wrap-store';
import type { VaultWrapStore } from '../../src/keys/user-keys/wrap-store/in-vault';
import { tombstone } from '../../src/keys/user-keys/wrap-store/in-vault/wrap-document';
import { beginRelocation, endRelocation, readPlacement, type WrapLocation, WRAPS } from '../../src/installation';
import { afterNextWrap, type KeyFixtures, moveMasterKey, openKeyFixtures, temporaryFolder } from '../support/keys';
import { openRoutedWrapStore, openWrapStore } from '../support/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';

beforeAll(() => void Logger.overrideLogger(false));

describeWithPart('openbao', 'Wraps of user keys that are moved', () => {
  let bao: Bao;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let vault: VaultWrapStore;
  let homes: RoutedWrapStore;
  let fixtures: KeyFixtures;
  let alice: string;

  beforeAll(async () => {
    bao = await startOpenBao();
  });
  beforeEach(async () => {
    folder = await temporaryFolder();
    vault = await openWrapStore(bao);
    fixtures = await openKeyFixtures(folder.path, {
      cacheMs: 0,
      home: async (store, masterKey) => (homes = await openRoutedWrapStore(store, masterKey, vault, 'store')),
    });
    alice = newId();
    await fixtures.userKeys.create(alice, alice);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await fixtures.close();
    await folder.remove();
  });
  afterAll(() => bao.stop());

  const row = async (owner = alice): Promise<UserKeyDoc> => (await fixtures.rows.find('_id', owner))!;
  const index = (owner = alice): Promise<string> => fixtures.sealer.with(owner, (keys) => keys.nameIndex('name'));
  const move = async (to: WrapLocation, owner = alice): Promise<void> => {
    await beginRelocation(fixtures.store, WRAPS, to);
    while (!(await homes.move(await row(owner), to)));
  };
  interface Versions {
    readonly versions: Record<string, { readonly destroyed: boolean }>;
  }
  /** What Vault has of a name, in all versions whose bytes are there. */
  const inVault = async (name = alice): Promise<Record<string, unknown>[]> => {
    const { data } = await bao.request<{ data: Versions }>('GET', `kv/metadata/user_keys/${name}`);
    const numbers = Object.keys(data.versions).filter((version) => !data.versions[version]!.destroyed);
    const read = (version: string) => bao.request('GET', `kv/data/user_keys/${name}?version=${version}`);
    return (await Promise.all(numbers.map(read))).map((answer) => answer.data['data'] as Record<string, unknown>);
  };
  const wrapped = async (): Promise<boolean[]> => (await row()).versions.map((entry) => entry.wrapped !== '');
  /** Does `act` between the look of the next `fill` or `erase` at the document and its write. */
  const before = (method: 'fill' | 'erase', act: () => Promise<unknown>): void => {
    const real = vault[method].bind(vault) as (...args: unknown[]) => Promise<unknown>;
    jest.spyOn(vault, method).mockImplementationOnce(((...args: unknown[]) => {
      const isMeant = args.pop() as () => Promise<boolean>;
      const acting = async (): Promise<boolean> => {
        const answer = await isMeant();
        await act();
        return answer;
      };
      return real(...args, acting);
    }) as never);
  };

  it('open there, and back again, and lie in one place', async () => {
    const key = await index();
    await move('vault');
    expect([await index(), await wrapped(), (await inVault()).length]).toEqual([key, [false], 1]);
    await move('store');
    expect([await index(), await wrapped(), await inVault()]).toEqual([key, [true], [{ state: 'free' }]]);
    expect(await row()).not.toHaveProperty('name');
    expect((await row()).versions[0]).not.toHaveProperty('key_id');
    await move('vault');
    expect(await index()).toBe(key);
  });

  it('are read by who has read the row before they went', async () => {
    const key = await index();
    await move('vault');
    const load = jest.spyOn(vault, 'get').mockImplementationOnce(async (rows) => {
      load.mockRestore();
      await move('store');
      return vault.get(rows);
    });
    expect(await index()).toBe(key);
  });

  it.each(['user-key', 'master-key'])(
    'are moved as they are then where a %s rotation comes in between',
    async (kind) => {
      const key = await index();
      await beginRelocation(fixtures.store, WRAPS, 'vault');
      before('fill', async () => {
        if (kind === 'user-key') await fixtures.rotator.advance(alice, 1);
        else await fixtures.rewrapper.rewrapBatch(await moveMasterKey(fixtures));
      });
      expect(await homes.move(await row(), 'vault')).toBe(false);
      expect(await index()).toBe(key);
      await move('vault');
      expect([await index(), new Set(await wrapped())]).toEqual([key, new Set([false])]);
      expect((await row()).master_version).toBe((await fixtures.row.read()).current);
      expect(await fixtures.home.orphans(await row())).toEqual([]);
    },
  );

  it('leave Vault while a user key is rotated, which begins anew with them', async () => {
    const key = await index();
    await move('vault');
    afterNextWrap(fixtures.masterKey, () => move('store'));
    expect(await fixtures.rotator.advance(alice, 1)).toBe(2);
    expect([await index(), await wrapped(), await inVault()]).toEqual([key, [true, true], [{ state: 'free' }]]);
  });

  it('are not in Vault after an erase that came before they were written there, nor after one that came later', async () => {
    before('fill', () => fixtures.userKeys.destroy(alice));
    await beginRelocation(fixtures.store, WRAPS, 'vault');
    expect(await homes.move(await row(), 'vault')).toBe(false);
    expect(JSON.stringify(await inVault())).not.toMatch(/ciphertext|"key"/);
    expect(await row()).toMatchObject({ state: 'erased', kept_in: 'both' });
    expect(await homes.move(await row(), 'vault')).toBe(true);
    await expect(index()).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are not destroyed by a move to the store that slept until they were back in Vault', async () => {
    const key = await index();
    await move('vault');
    before('erase', async () => {
      await beginRelocation(fixtures.store, WRAPS, 'vault');
      await move('vault');
    });
    await beginRelocation(fixtures.store, WRAPS, 'store');
    expect(await homes.move(await row(), 'store')).toBe(false);
    expect([await index(), await wrapped()]).toEqual([key, [false]]);
  });

  it('are not destroyed by who ends the tombstone of a move that died, and slept until they were back in Vault', async () => {
    const key = await index();
    await move('vault');
    await beginRelocation(fixtures.store, WRAPS, 'store');
    jest.spyOn(vault, 'erase').mockRejectedValueOnce(new Error('died'));
    await expect(homes.move(await row(), 'store')).rejects.toThrow('died');
    await bao.request('POST', `kv/data/user_keys/${alice}`, { data: tombstone(alice) });
    await beginRelocation(fixtures.store, WRAPS, 'vault');
    const real = vault.erase.bind(vault);
    jest.spyOn(vault, 'erase').mockImplementationOnce(async (...args) => {
      await move('vault');
      await real(...args);
    });
    expect(await homes.move(await row(), 'vault')).toBe(false);
    expect([await index(), await wrapped()]).toEqual([key, [false]]);
  });

  it('stay where they are for a move that was turned round and ended before it said that it moves them', async () => {
    const key = await index();
    await beginRelocation(fixtures.store, WRAPS, 'vault');
    const seen = await row();
    await beginRelocation(fixtures.store, WRAPS, 'store');
    await endRelocation(fixtures.store, WRAPS, 'store');
    expect(await homes.move(seen, 'vault')).toBe(false);
    expect([await index(), await wrapped()]).toEqual([key, [true]]);
    expect(await row()).not.toHaveProperty('moving');
    expect(await row()).not.toHaveProperty('name');
  });

  it('are not given up by a move to Vault that was turned round before its last write', async () => {
    const key = await index();
    const load = jest.spyOn(vault, 'get').mockImplementationOnce(async (rows) => {
      load.mockRestore();
      const found = await vault.get(rows);
      await move('store');
      return found;
    });
    await beginRelocation(fixtures.store, WRAPS, 'vault');
    expect(await homes.move(await row(), 'vault')).toBe(false);
    expect([await index(), await wrapped(), await inVault()]).toEqual([key, [true], [{ state: 'free' }]]);
  });

  it('go to the new place with an owner who was made while the whole move began and ended', async () => {
    const bob = newId();
    afterNextWrap(fixtures.masterKey, async () => {
      await move('vault');
      await endRelocation(fixtures.store, WRAPS, 'vault');
    });
    await fixtures.userKeys.create(bob, bob);
    expect((await row(bob)).versions.map((entry) => entry.wrapped)).toEqual(['']);
    expect(await index(bob)).toMatch(/^[0-9a-f]{64}$/);
    expect(await readPlacement(fixtures.store, WRAPS)).toEqual({ current: 'vault' });
  });

  it('stay where they are where Vault has lost them, and hold nobody up', async () => {
    const bob = newId();
    await move('vault');
    await fixtures.userKeys.create(bob, bob);
    const key = await index(bob);
    await bao.request('POST', `kv/data/user_keys/${alice}`, { data: { user_id: 7 } });
    await beginRelocation(fixtures.store, WRAPS, 'store');
    await expect(homes.move(await row(), 'store')).rejects.toBeInstanceOf(Immovable);
    await move('store', bob);
    expect(await index(bob)).toBe(key);
    expect((await row()).moving).toBeUndefined();
  });

  it('do not take a name from a living owner', async () => {
    const bob = newId();
    await beginRelocation(fixtures.store, WRAPS, 'vault');
    await fixtures.userKeys.create(bob, alice);
    await expect(
      homes.move(await row(), 'vault').then(async () => homes.move(await row(), 'vault')),
    ).rejects.toBeInstanceOf(Immovable);
    expect([await index(), await index(bob)]).toEqual([expect.any(String), expect.any(String)]);
  });

  it('of an erase that died are ended by a move to the store', async () => {
    await move('vault');
    jest.spyOn(vault, 'erase').mockRejectedValueOnce(new Error('died'));
    await expect(fixtures.userKeys.destroy(alice)).rejects.toThrow('died');
    await move('store');
    expect([await inVault(), (await row()).name, (await row()).state]).toEqual([
      [{ state: 'free' }],
      undefined,
      'erased',
    ]);
  });

  it('are told of by the receipt as lying in backups of the store, and in snapshots of Vault', async () => {
    const bob = newId();
    await move('vault');
    await fixtures.userKeys.create(bob, bob);
    for (const owner of [alice, bob]) await fixtures.userKeys.destroy(owner);
    const erased = new BackupExposure(fixtures.masterKey, fixtures.row, fixtures.store, homes);
    expect(await erased.wrapsUntilNow(alice)).toMatchObject({ keptIn: 'store', alsoInVault: true });
    const ofBob = await erased.wrapsUntilNow(bob);
    expect([ofBob.keptIn, ofBob.alsoInVault]).toEqual(['vault', undefined]);
  });
});
