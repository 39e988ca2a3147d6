import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { DomainError, newId, plaintext, StartupError } from '../../src/kernel';
import { openVault } from '../../src/vault-client';
import { WrapPathConflict, type OwnerKeys, storedRow } from '../../src/keys/user-keys';
import { VaultWrapStore } from '../../src/keys/user-keys/wrap-store/in-vault';
import { type KeyFixtures, moveMasterKey, openKeyFixtures, rewrapAll, temporaryFolder } from '../support/keys';
import { INSTALLATION_ID, kvConfig, openWrapStore } from '../support/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { startProcess } from '../support/processes';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const support = join(__dirname, '../support');

beforeAll(() => {
  Logger.overrideLogger(false);
});

describeWithPart('openbao', 'User keys whose wraps lie in Vault', () => {
  let bao: Bao;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let opened: Promise<KeyFixtures> | undefined;

  beforeAll(async () => {
    bao = await startOpenBao();
  });
  beforeEach(async () => {
    folder = await temporaryFolder();
    // The owner of the acts is `alice` in each test: Vault starts without her.
    await bao.request('DELETE', 'kv/metadata/user_keys/alice');
  });
  afterEach(async () => {
    await closed();
    await folder.remove();
  });
  afterAll(() => bao.stop());

  const open = async (): Promise<KeyFixtures> =>
    openKeyFixtures(folder.path, { cacheMs: 0, home: await openWrapStore(bao) });
  /**
   * One opening for callers at the same time: two writers of one process on one LMDB environment
   * wait for each other for ever.
   */
  const fixtures = (): Promise<KeyFixtures> => (opened ??= open());
  const closed = async (): Promise<void> => {
    const open = opened;
    opened = undefined;
    await (await open?.catch(() => undefined))?.close();
  };
  /** Runs one act in a process of its own, which must die at the crash point. */
  const killed = async (act: string, failpoint: string): Promise<void> => {
    await closed();
    const args = ['--require', join(support, 'typescript-hook.cjs'), join(support, 'keys-process.ts')];
    const vault = JSON.stringify(kvConfig(bao));
    const program = startProcess(process.execPath, [...args, folder.path, act, failpoint, vault]);
    const code = await program.exited;
    if (code !== null) throw new Error(`it ended with ${code} and was not killed: ${program.output()}`);
  };
  const index = async (owner: string): Promise<string> =>
    (await fixtures()).sealer.with(owner, (keys) => keys.nameIndex('name'));
  const document = async (name: string): Promise<Record<string, unknown>> =>
    (await bao.request('GET', `kv/data/user_keys/${name}`)).data['data'] as Record<string, unknown>;
  interface Versions {
    readonly versions: Record<string, { readonly destroyed: boolean }>;
  }
  /** Versions of the document whose bytes are still there. */
  const alive = async (name: string): Promise<unknown[]> => {
    const { data } = await bao.request<{ data: Versions }>('GET', `kv/metadata/user_keys/${name}`);
    const numbers = Object.keys(data.versions).filter((version) => !data.versions[version]!.destroyed);
    return Promise.all(
      numbers.map(
        async (version) => (await bao.request('GET', `kv/data/user_keys/${name}?version=${version}`)).data['data'],
      ),
    );
  };

  it.each(['user-key.wrapped', 'user-key.vault-kept', 'user-key.pending-stored', 'user-key.before-active'])(
    'that are made by a process that dies at %s are made by the next one',
    async (failpoint) => {
      await killed('create', failpoint);
      await (await fixtures()).userKeys.create('alice', 'alice');
      expect(await index('alice')).toMatch(/^[0-9a-f]{64}$/);
      expect((await document('alice'))['user_id']).toBe('alice');
    },
  );

  it.each(['user-key.vault-kept', 'user-key.pending-stored', 'user-key.before-active'])(
    'of a registration that died at %s and was given up make room for the next owner of the name',
    async (failpoint) => {
      await killed('create', failpoint);
      await (await fixtures()).userKeys.create('another-alice', 'alice');
      expect(await index('another-alice')).toMatch(/^[0-9a-f]{64}$/);
      expect((await document('alice'))['user_id']).toBe('another-alice');
      await expect((await fixtures()).userKeys.create('alice', 'alice')).rejects.toMatchObject({ code: 'conflict' });
      expect(await index('another-alice')).toMatch(/^[0-9a-f]{64}$/);
    },
  );

  it.each(['user-key.pending-stored', 'user-key.vault-kept:2', 'user-key.wrapped-again', 'user-key.before-active'])(
    'that are made while the master key moves by a process that dies at %s are made by the next one',
    async (failpoint) => {
      await killed('create while the master key moves', failpoint);
      await (await fixtures()).userKeys.create('alice', 'alice');
      expect(await index('alice')).toMatch(/^[0-9a-f]{64}$/);
      expect(await (await fixtures()).rewrapper.countWrappedBy(1)).toBe(0);
    },
  );

  it('are what a retire goes by: a document that was set back keeps its master key version, whatever the row says', async () => {
    const keys = await fixtures();
    await keys.userKeys.create('alice', 'alice');
    const former = await document('alice');
    await keys.rewrapper.rewrapBatch(await moveMasterKey(keys));
    expect(await keys.rewrapper.wrapsUpTo(1, 10)).toMatchObject({ count: 0, doubtful: { count: 0 } });
    await bao.request('POST', 'kv/data/user_keys/alice', { data: former });
    expect(await keys.rewrapper.countWrappedBy(1)).toBe(0);
    expect(await keys.rewrapper.wrapsUpTo(1, 10)).toMatchObject({ count: 1 });
    await keys.rewrapper.rewrapBatch(await moveMasterKey(keys));
    expect(await keys.rewrapper.wrapsUpTo(2, 10)).toMatchObject({ count: 0, doubtful: { count: 0 } });
    expect(await index('alice')).toMatch(/^[0-9a-f]{64}$/);
    await bao.request('DELETE', 'kv/metadata/user_keys/alice');
    expect(await keys.rewrapper.wrapsUpTo(2, 10)).toMatchObject({ count: 0, doubtful: { count: 1, first: ['alice'] } });
  });

  it.each(['user-key.erased', 'user-key.vault-tombstone', 'user-key.vault-destroyed', 'user-key.wraps-erased'])(
    'that are erased by a process that dies at %s open nothing, are erased by the next one, and leave no byte',
    async (failpoint) => {
      await (await fixtures()).userKeys.create('alice', 'alice');
      await killed('destroy', failpoint);
      await expect(index('alice')).rejects.toMatchObject({ code: 'not_found' });
      await (await fixtures()).userKeys.destroy('alice');
      expect(await document('alice')).toEqual({ state: 'free' });
      expect((await alive('alice')).map((data) => JSON.stringify(data)).filter((data) => data.includes('key'))).toEqual(
        [],
      );
      const row = await (await fixtures()).rows.find('_id', 'alice');
      expect([row!.state, row!.name]).toEqual(['erased', undefined]);
    },
  );

  it.each(['user-key.erased', 'user-key.vault-tombstone', 'user-key.vault-destroyed'])(
    'whose erase died at %s hold the name no longer than until somebody else needs it',
    async (failpoint) => {
      await (await fixtures()).userKeys.create('alice', 'alice');
      await killed('destroy', failpoint);
      await (await fixtures()).userKeys.create('next', 'alice');
      const before = await index('next');
      await (await fixtures()).userKeys.destroy('alice');
      expect(await index('next')).toBe(before);
      expect(JSON.stringify(await alive('alice'))).not.toContain('"user_id":"alice"');
    },
  );

  it.each([
    'rotation.user-keys-rewrapped',
    'user-key.vault-kept',
    'user-key.vault-kept:2',
    'rotation.user-keys-written',
  ])(
    'that are wrapped again by a process that dies at %s all open, before and after the rotation goes on',
    async (failpoint) => {
      const owners = ['a', 'b', 'c'].map((name) => `${name}-${newId()}`);
      for (const owner of owners) await (await fixtures()).userKeys.create(owner, owner);
      const before = await Promise.all(owners.map(index));
      const target = await moveMasterKey(await fixtures());
      await killed('rewrap', failpoint);
      expect(await Promise.all(owners.map(index))).toEqual(before);
      const { rewrapper } = await fixtures();
      await rewrapAll(await fixtures(), target);
      expect(await Promise.all(owners.map(index))).toEqual(before);
      expect([await rewrapper.quarantinedFor(target), await rewrapper.countWrappedBy(1)]).toEqual([0, 0]);
    },
  );

  it.each([
    'user-key-rotation.wrapped',
    'user-key.vault-kept',
    'user-key.row-dropped',
    'user-key.strays-marked',
    'user-key.vault-forgotten',
    'user-key.strays-removed',
  ])(
    'of an owner whose key is rotated by a process that dies at %s open, and of the former key none is left in the end',
    async (failpoint) => {
      await (await fixtures()).userKeys.create('alice', 'alice');
      const before = await index('alice');
      const former = String((await document('alice'))['key_id']);
      await killed('rotate user key', failpoint);
      expect(await index('alice')).toBe(before);
      const { rotator, strays } = await fixtures();
      const { current } = await rotator.state('alice');
      if (current === 1) await rotator.advance('alice', 1);
      await rotator.drop('alice', new Set([1]));
      expect(await strays.sweep()).toBeLessThanOrEqual(2);
      expect(await index('alice')).toBe(before);
      const left = JSON.stringify(await alive('alice'));
      expect([left.includes(former), left.includes('"others"')]).toEqual([false, false]);
      expect((await (await fixtures()).rows.find('_id', 'alice'))!.strays).toBeUndefined();
      expect(await strays.sweep()).toBe(0);
    },
  );

  it('that a rotation of the master key puts back, having slept across that of the user key, go in the next sweep', async () => {
    const { userKeys, home, rows, rotator, strays } = await fixtures();
    await userKeys.create('alice', 'alice');
    const [asleep] = await home.get([(await rows.find('_id', 'alice'))!]);
    await rotator.advance('alice', 1);
    await rotator.drop('alice', new Set([1]));
    await strays.remove('alice');
    const before = await index('alice');
    if (asleep?.ok !== true) throw new Error('no wrap');
    await home.put(asleep.value);
    expect(await rows.replace(storedRow(asleep.value))).toBeUndefined();
    expect(await strays.sweep()).toBe(1);
    expect(await index('alice')).toBe(before);
    expect(JSON.stringify(await alive('alice'))).not.toContain(asleep.value.versions[0]!.key_id);
  });

  it('do not come back by a rotation of the master key that read the row before its owner was erased', async () => {
    const { userKeys, home, rows } = await fixtures();
    await userKeys.create('alice', 'alice');
    const [asleep] = await home.get([(await rows.find('_id', 'alice'))!]);
    await userKeys.destroy('alice');
    if (asleep?.ok !== true) throw new Error('no wrap');
    await expect(home.put(asleep.value)).rejects.toBeInstanceOf(WrapPathConflict);
    expect(await alive('alice')).toEqual([{ state: 'free' }]);
  });

  it('do not come back by a rotation of the user key that read the row before its owner was erased', async () => {
    const { userKeys, rotator, home } = await fixtures();
    await userKeys.create('alice', 'alice');
    jest.spyOn(home, 'put').mockImplementationOnce(async (row) => {
      await userKeys.destroy('alice');
      await VaultWrapStore.prototype.put.call(home, row);
    });
    await expect(rotator.advance('alice', 1)).rejects.toMatchObject({ code: 'not_found' });
    expect(await alive('alice')).toEqual([{ state: 'free' }]);
  });

  it('are not destroyed by a sweeper that slept between the row and Vault while that registration was finished', async () => {
    const { userKeys, rows, home, sweeper } = await fixtures();
    await userKeys.create('alice', 'alice');
    await rows.replace({ ...(await rows.find('_id', 'alice'))!, state: 'pending' });
    jest.spyOn(home, 'erase').mockImplementationOnce(async (...args) => {
      await userKeys.create('alice', 'alice');
      await VaultWrapStore.prototype.erase.call(home, ...args);
    });
    await sweeper.sweep(-1000);
    expect(await index('alice')).toMatch(/^[0-9a-f]{64}$/);
  });

  it('are not destroyed by who needs their name and slept while their owner, who had no row yet, got one', async () => {
    const { userKeys, home } = await fixtures();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const kept = new Promise<void>((resolve) => {
      jest.spyOn(home, 'put').mockImplementationOnce(async (...args) => {
        await VaultWrapStore.prototype.put.call(home, ...args);
        resolve();
        await gate;
      });
    });
    const made = userKeys.create('alice', 'alice');
    await kept;
    jest.spyOn(home, 'erase').mockImplementationOnce(async (...args) => {
      go();
      await made;
      await VaultWrapStore.prototype.erase.call(home, ...args);
    });
    await expect(userKeys.create('another-alice', 'alice')).rejects.toMatchObject({ code: 'conflict' });
    expect(await index('alice')).toMatch(/^[0-9a-f]{64}$/);
  });

  it('are made anew where those of a pending row are gone', async () => {
    const { userKeys, home, rows } = await fixtures();
    await userKeys.create('alice', 'alice');
    await rows.replace({ ...(await rows.find('_id', 'alice'))!, state: 'pending' });
    await home.erase('alice', 'alice');
    await userKeys.create('alice', 'alice');
    expect(await index('alice')).toMatch(/^[0-9a-f]{64}$/);
  });

  it('of versions above the current one of a store that was restored are not swept away: a later backup opens', async () => {
    const { userKeys, rotator, strays, rows } = await fixtures();
    await userKeys.create('alice', 'alice');
    await rotator.advance('alice', 1);
    const older = (await rows.find('_id', 'alice'))!;
    await rotator.advance('alice', 2);
    const later = (await rows.find('_id', 'alice'))!;
    const restored = (await rows.replace({ ...older, rev: later.rev }))!;
    expect([await strays.sweep(), await strays.remove('alice')]).toEqual([0, 0]);
    await rows.replace({ ...later, rev: (await rows.find('_id', 'alice'))!.rev });
    expect(restored.current).toBe(2);
    const place = { ownerId: 'alice', resourceType: 'record', resourceId: 'r', field: 'value' };
    const seal = (keys: OwnerKeys) => [
      keys.version,
      keys.seal('records', place, plaintext(Buffer.from('x'))).length > 0,
    ];
    expect(await (await fixtures()).sealer.with('alice', seal)).toEqual([3, true]);
  });

  it('that a writer is about to name are not swept away under its hands', async () => {
    const { userKeys, rotator, strays, rows, home } = await fixtures();
    await userKeys.create('alice', 'alice');
    await rotator.advance('alice', 1);
    const before = await index('alice');
    const keep = jest.spyOn(home, 'put').mockImplementationOnce(async (row) => {
      await VaultWrapStore.prototype.put.call(home, row);
      expect(await strays.sweep()).toBe(0);
    });
    expect(await rotator.advance('alice', 2)).toBe(3);
    expect(keep).toHaveBeenCalledTimes(1);
    expect(await index('alice')).toBe(before);
    const row = (await rows.find('_id', 'alice'))!;
    expect([row.versions.length, await home.orphans(row)]).toEqual([3, []]);
  });

  it('that were changed in Vault to those of another owner open nothing, and are never destroyed with that owner', async () => {
    const { userKeys, home } = await fixtures();
    const [mallory, victim] = [newId(), newId()];
    await userKeys.create(mallory, mallory);
    await userKeys.create(victim, victim);
    const before = await index(victim);
    await home.erase(victim, mallory);
    expect(await index(victim)).toBe(before);
    const stolen = { ...(await document(victim)), user_id: mallory, key_id: (await document(mallory))['key_id'] };
    await bao.request('POST', `kv/data/user_keys/${mallory}`, { data: stolen });
    await expect(index(mallory)).rejects.toMatchObject({ code: 'kms_unavailable' });
  });

  it.each([
    ['is gone', (path: string) => bao.request('DELETE', `kv/metadata/${path}`)],
    ['was deleted by hand', (path: string) => bao.request('DELETE', `kv/data/${path}`)],
    ['is damaged', (path: string) => bao.request('POST', `kv/data/${path}`, { data: { user_id: 7 } })],
  ])('of a document that %s go into quarantine in a rotation, and hold nobody up', async (_, spoil) => {
    const { userKeys, rewrapper } = await fixtures();
    const [lost, kept] = [newId(), newId()];
    for (const owner of [lost, kept]) await userKeys.create(owner, owner);
    await spoil(`user_keys/${lost}`);
    const target = await moveMasterKey(await fixtures());
    expect(await rewrapper.rewrapBatch(target)).toMatchObject({ done: 1, failed: [lost] });
    expect(await index(kept)).toMatch(/^[0-9a-f]{64}$/);
    await expect(index(lost)).rejects.toMatchObject({ code: 'kms_unavailable' });
  });

  it('that cannot be read are written over by nobody', async () => {
    const { userKeys } = await fixtures();
    const [owner, next] = [newId(), newId()];
    await userKeys.create(owner, owner);
    const damaged = { user_id: 7 };
    await bao.request('POST', `kv/data/user_keys/${owner}`, { data: damaged });
    await expect(userKeys.create(next, owner)).rejects.toMatchObject({ code: 'kms_unavailable' });
    await expect(userKeys.destroy(owner)).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect(await document(owner)).toEqual(damaged);
  });

  it('are wrapped again in the end, each batch a few, on a Vault of which one request in forty fails', async () => {
    const { userKeys, rewrapper, home } = await fixtures();
    const owners = Array.from({ length: 60 }, () => newId());
    await Promise.all(owners.map((owner) => userKeys.create(owner, owner)));
    const target = await moveMasterKey(await fixtures());
    let calls = 0;
    jest.spyOn(home, 'put').mockImplementation(async (row) => {
      calls += 1;
      if (calls % 40 === 0) throw new DomainError('kms_unavailable');
      await VaultWrapStore.prototype.put.call(home, row);
    });
    expect((await rewrapper.rewrapBatch(target)).done).toBeGreaterThanOrEqual(16);
    await rewrapAll({ rewrapper }, target);
    expect(await rewrapper.quarantinedFor(target)).toBe(0);
    expect(await index(owners[59]!)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('of another installation are refused at the start, and let in who has the same id', async () => {
    await openWrapStore(bao);
    const others = new VaultWrapStore(openVault(kvConfig(bao)), 'kv');
    await expect(others.open(newId())).rejects.toThrow('holds user keys of another installation');
    expect(await document('_installation')).toEqual({ installation_id: INSTALLATION_ID });
    await others.open(INSTALLATION_ID);
  });

  it('belong to one of many installations that start on a fresh mount at the same time, and to the next once an operator frees it', async () => {
    const ids = [newId(), newId(), newId()];
    const open = (id: string): Promise<void> => new VaultWrapStore(openVault(kvConfig(bao)), 'kv').open(id);
    const free = (path: string) => bao.request('DELETE', `kv/${path}/user_keys/_installation`);
    await free('metadata');
    const starts = await Promise.allSettled(ids.map(open));
    const first = ids.filter((_, at) => starts[at]!.status === 'fulfilled');
    expect(first).toEqual([(await document('_installation'))['installation_id']]);
    await free('data');
    await open(INSTALLATION_ID);
    await expect(open(first[0]!)).rejects.toThrow(StartupError);
  });
});
