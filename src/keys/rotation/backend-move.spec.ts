import { Logger } from '@nestjs/common';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KeyFixture, openKeyFixture } from '../../../test/support/key-fixture';
import { MemoryWrapStore } from '../../../test/support/memory-wrap-store';
import { waitFor } from '../../../test/support/processes';
import { plaintext, StartupError, SystemClock } from '../../kernel';
import { createInstallation, readInstallation } from '../../installation';
import type { Doc } from '../../store';
import { type BackendName, masterKeyCollection } from '../master-key';
import { systemKeysCollection } from '../system-keys';
import { userKeysCollection } from '../user-keys/user-keys.collection';
import { BackendMoves, type Rotation } from '.';
import { complete } from '../../../test/support/installation';

beforeAll(() => void Logger.overrideLogger(false));

const PINS = { store: 'embedded', masterKey: 'local', userKeys: 'store', blobs: 'filesystem' };

let folder: string;
let kv: MemoryWrapStore;
let fixture: KeyFixture;
let migrations: BackendMoves;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-migrations-'));
  kv = new MemoryWrapStore();
  fixture = await openKeyFixture(folder, { cacheMs: 0, otherHomes: [kv] });
  await createInstallation(fixture.store, PINS, new SystemClock());
  await complete(fixture.store, PINS);
  migrations = new BackendMoves(fixture.jobs, fixture.masterKey, fixture.row, fixture.store);
  await Promise.all(['a', 'b', 'c'].map((owner) => fixture.userKeys.create(owner, owner)));
});
afterEach(async () => {
  await fixture.close();
  await rm(folder, { recursive: true, force: true });
});

const place = { ownerId: 'a', resourceType: 'record', resourceId: 'r', field: 'f' };
const seal = () => fixture.sealer.with('a', (keys) => keys.seal('records', place, plaintext(Buffer.from('x'))));
const open = (sealed: Awaited<ReturnType<typeof seal>>) =>
  fixture.sealer.with('a', (keys) => keys.open('records', place, sealed).toString());

const ended = ({ id }: Rotation): Promise<Rotation> =>
  waitFor('the move to end', async () => {
    const now = await fixture.rotations.find(id);
    return now.state === 'done' || now.state === 'failed' ? now : undefined;
  });

async function move(to: BackendName): Promise<Rotation> {
  const begun = await migrations.begin(to, 'operator');
  if (begun === undefined) throw new Error('nothing to move');
  return ended(begun);
}

/** What wraps anything, by its own words. */
async function wraps(): Promise<Set<string>> {
  const users = await fixture.store.collection(userKeysCollection).list('_id', [], { limit: 100 });
  const system = await fixture.engine.collection(systemKeysCollection).list('_id', [], { limit: 10 });
  const all = [...users.items.flatMap((row) => row.versions), ...system.items];
  return new Set(all.map(({ wrapped }) => wrapped.split(':', 2).join(':')));
}

const pinned = async (): Promise<unknown> => {
  const { master_key, master_key_moving } = (await readInstallation(fixture.store))!;
  return { master_key, master_key_moving };
};

describe('A move of the master key', () => {
  it('wraps everything by the other home and leaves it readable', async () => {
    const sealed = await seal();
    expect(await move('kv')).toMatchObject({ state: 'done', to: 'kv', targetVersion: 2, total: 3, done: 3, failed: 0 });
    expect(await wraps()).toEqual(new Set(['kv:v2']));
    expect(await open(sealed)).toBe('x');
    expect(await pinned()).toEqual({ master_key: 'kv', master_key_moving: undefined });
    expect(fixture.masterKey.home).toBe('kv');
  });

  it('takes a number that neither home has, used or not', async () => {
    await kv.open();
    for (const version of [1, 2, 3, 4]) await kv.rotate(version);
    await (await fixture.masterKey.inHome('local')).rotate(6);
    expect(await move('kv')).toMatchObject({ state: 'done', targetVersion: 8 });
    expect((await fixture.row.read()).homes).toEqual([
      { home: 'local', since: 1 },
      { home: 'kv', since: 8 },
    ]);
  });

  it('that left numbers out lets them end with the former home', async () => {
    await kv.open();
    for (const version of [1, 2, 3, 4, 5, 6]) await kv.rotate(version);
    await fixture.rotations.rotateMasterKey('admin');
    expect(await move('kv')).toMatchObject({ state: 'done', targetVersion: 8 });
    await expect(fixture.retirement.retire(9)).rejects.toMatchObject({ code: 'not_found' });
    await fixture.retirement.retire(7);
    expect((await fixture.row.read()).homes).toEqual([
      { home: 'local', since: 1, ended: true, floor: 8 },
      { home: 'kv', since: 8 },
    ]);
    await expect(fixture.retirement.retire(7)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('goes there and back, and the versions of every home can be ended', async () => {
    const sealed = await seal();
    await move('kv');
    await fixture.rotations.rotateMasterKey('admin');
    expect(await move('local')).toMatchObject({ state: 'done', targetVersion: 4 });
    expect(await wraps()).toEqual(new Set(['local:v4']));
    expect((await fixture.masterKey.state()).versions.map(({ version }) => version)).toEqual([1, 2, 3, 4]);
    await expect(fixture.retirement.retire(4)).rejects.toMatchObject({ code: 'version_in_use' });
    await fixture.retirement.retire(3);
    expect((await fixture.masterKey.state()).versions.map(({ version }) => version)).toEqual([4]);
    expect((await fixture.row.read()).homes).toEqual([
      { home: 'local', since: 1, ended: true, floor: 2 },
      { home: 'kv', since: 2, ended: true, floor: 4 },
      { home: 'local', since: 4 },
    ]);
    expect(await open(sealed)).toBe('x');
  });

  it('to where the key is already is nothing', async () => {
    expect(await migrations.begin('local', 'operator')).toBeUndefined();
    await move('kv');
    expect(await migrations.begin('kv', 'operator')).toBeUndefined();
  });

  it('to a home that is not configured, or does not answer, is not begun', async () => {
    await expect(migrations.begin('transit', 'operator')).rejects.toBeInstanceOf(StartupError);
    kv.up = false;
    await expect(migrations.begin('kv', 'operator')).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect((await fixture.rotations.list({ limit: 1 })).items).toEqual([]);
    expect(await pinned()).toEqual({ master_key: 'local', master_key_moving: undefined });
  });

  it('keeps rotations and other moves out, and is found again by who asks for the same one', async () => {
    const begun = (await migrations.begin('kv', 'operator'))!;
    const same = await migrations.begin('kv', 'operator');
    const refusal = { code: 'rotation_running', extensions: { rotation_id: begun.id } };
    if (same !== undefined) {
      expect(same.id).toBe(begun.id);
      await expect(migrations.begin('transit', 'operator')).rejects.toMatchObject(refusal);
      await expect(fixture.rotations.rotateMasterKey('admin')).rejects.toMatchObject(refusal);
    }
    expect(await ended(begun)).toMatchObject({ state: 'done' });
    expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({ state: 'done', targetVersion: 3 });
    expect(await wraps()).toEqual(new Set(['kv:v3']));
  });

  it('whose target is gone for good is ended by a move to where the key still is', async () => {
    const stuck = await fixture.jobs.enqueue('master-key.rotation', {
      requested_by: 'operator',
      to: 'transit',
      from: 1,
    });
    await expect(fixture.rotations.rotateMasterKey('admin')).rejects.toMatchObject({ code: 'rotation_running' });
    await expect(migrations.begin('kv', 'operator')).rejects.toMatchObject({ code: 'rotation_running' });
    expect(await migrations.begin('local', 'operator')).toBeUndefined();
    expect(await fixture.rotations.find(stuck.id)).toMatchObject({ state: 'failed', fault: 'kms_unavailable' });
    expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({ state: 'done', targetVersion: 2 });
  });

  it('that is in effect is not ended by a move back', async () => {
    const data = { requested_by: 'operator', to: 'transit', from: 1, target: 2, advanced: true };
    const { id } = await fixture.jobs.enqueue('master-key.rotation', data);
    await expect(migrations.begin('local', 'operator')).rejects.toMatchObject({ code: 'rotation_running' });
    expect(await fixture.rotations.find(id)).toMatchObject({ state: 'running' });
  });

  it('whose target goes away half-way waits for it and goes on, and nothing is put into quarantine', async () => {
    const sealed = await seal();
    const wrap = kv.wrap.bind(kv);
    const away = jest.spyOn(kv, 'wrap').mockImplementation(async (...args) => {
      kv.up = false;
      return wrap(...args);
    });
    const begun = (await migrations.begin('kv', 'operator'))!;
    await waitFor('the outage to be met', () => Promise.resolve(away.mock.calls.length > 0));
    expect(await open(sealed)).toBe('x');
    expect(await pinned()).toEqual({ master_key: 'local', master_key_moving: ['kv'] });
    away.mockRestore();
    kv.up = true;
    expect(await ended(begun)).toMatchObject({ state: 'done', done: 3, failed: 0 });
    expect(await wraps()).toEqual(new Set(['kv:v2']));
  });

  it('that failed on a damaged system key is begun anew, or taken back', async () => {
    const rows = fixture.engine.collection(systemKeysCollection);
    const sound = (await rows.find('_id', 'one-time-codes'))!;
    const spoil = () => rows.replace({ ...sound, wrapped: sound.wrapped.replace(/.{8}$/, 'AAAAAAA=') });
    const rotate = kv.rotate.bind(kv);
    kv.rotate = async (expected) => {
      kv.rotate = rotate;
      await spoil();
      return rotate(expected);
    };
    expect(await move('kv')).toMatchObject({ state: 'failed', fault: 'integrity_failed' });
    expect(await pinned()).toEqual({ master_key: 'local', master_key_moving: ['kv'] });
    await rows.replace({ ...(await rows.find('_id', 'one-time-codes'))!, wrapped: sound.wrapped });
    expect(await move('local')).toMatchObject({ state: 'done', targetVersion: 3 });
    expect(await wraps()).toEqual(new Set(['local:v3']));
    expect(await pinned()).toEqual({ master_key: 'local', master_key_moving: undefined });
  });

  it('leaves a key that does not open in quarantine in the former home, which then cannot be ended', async () => {
    const keys = fixture.store.collection(userKeysCollection);
    const row = (await keys.find('_id', 'b'))!;
    const damaged = row.versions.map((entry) => ({ ...entry, wrapped: entry.wrapped.replace(/.{8}$/, 'AAAAAAA=') }));
    await keys.replace({ ...row, versions: damaged });
    expect(await move('kv')).toMatchObject({ state: 'done', done: 2, failed: 1 });
    await expect(fixture.retirement.retire(1)).rejects.toMatchObject({ code: 'version_in_use' });
    const marked = (await keys.find('_id', 'b'))!;
    await keys.replace({ ...marked, versions: row.versions });
    await fixture.rotations.rotateMasterKey('admin');
    expect(await wraps()).toEqual(new Set(['kv:v3']));
    await fixture.retirement.retire(1);
  });

  it('lets a former home go although a death came before that was written down', async () => {
    await move('kv');
    await fixture.masterKey.retire(1);
    expect((await fixture.row.read()).homes?.[0]).toEqual({ home: 'local', since: 1 });
    await expect(fixture.retirement.retire(1)).rejects.toMatchObject({ code: 'not_found' });
    expect((await fixture.row.read()).homes?.[0]).toEqual({ home: 'local', since: 1, ended: true });
  });

  it('cannot be forged by a row that names another home', async () => {
    const raw = fixture.engine.collection<Doc & { readonly homes?: unknown }>({
      ...masterKeyCollection,
      authenticated: false,
    } as never);
    const row = (await raw.find('_id', 'master'))!;
    await kv.open();
    await raw.replace({ ...row, homes: [{ home: 'kv', since: 1 }] });
    await expect(fixture.userKeys.create('d', 'd')).rejects.toMatchObject({ code: 'integrity_failed' });
    await expect(fixture.rotations.rotateMasterKey('admin')).rejects.toMatchObject({ code: 'integrity_failed' });
    expect(await wraps()).toEqual(new Set(['local:v1']));
  });
});
