import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { auditBatchesCollection } from '../../audit/audit.collection';
import { DomainError, plaintext } from '../../kernel';
import { type Doc } from '../../store';
import { type KeyFixture, openKeyFixture } from '../../../test/support/key-fixture';
import { loseIndex } from '../../../test/support/lost-index';
import { waitFor } from '../../../test/support/processes';
import { systemKeysCollection } from '../system-keys';
import { type UserKeyDoc, userKeysCollection } from '../user-keys/user-keys.collection';
import { ROTATION_JOB, type Rotation } from '.';

beforeAll(() => void Logger.overrideLogger(false));

let folder: string;
let fixture: KeyFixture;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-rotation-'));
  fixture = await openKeyFixture(folder, { cacheMs: 0 });
});
afterEach(async () => {
  await fixture.close();
  await rm(folder, { recursive: true, force: true });
});

const place = (ownerId: string) => ({ ownerId, resourceType: 'record', resourceId: 'r', field: 'f' });
const userRow = async (id: string): Promise<UserKeyDoc> =>
  (await fixture.store.collection(userKeysCollection).find('_id', id))!;

async function owners(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => `owner-${n}`);
  await Promise.all(ids.map((id) => fixture.userKeys.create(id, id)));
  return ids;
}

const sealFor = (owner: string) =>
  fixture.sealer.with(owner, (keys) => keys.seal('records', place(owner), plaintext(Buffer.from(owner))));

async function versionsInUse(): Promise<number[]> {
  const users = await fixture.store.collection(userKeysCollection).list('_id', [], { limit: 1000 });
  const system = await fixture.engine.collection(systemKeysCollection).list('_id', [], { limit: 10 });
  const used = users.items.flatMap((row) => row.versions.map((entry) => entry.master_version));
  return [...new Set([...used, ...system.items.map((row) => row.master_version)])].sort();
}

const ended = (rotation: Rotation): Promise<Rotation> =>
  waitFor('the rotation to end', async () => {
    const now = await fixture.rotations.find(rotation.id);
    return now.state === 'done' || now.state === 'failed' ? now : undefined;
  });

describe('a rotation of the master key', () => {
  it('of a small installation is done when it is answered', async () => {
    await owners(3);
    const rotation = await fixture.rotations.rotateMasterKey('admin');
    expect(rotation).toMatchObject({ state: 'done', targetVersion: 2, total: 3, done: 3, failed: 0, inEffect: true });
    expect(await versionsInUse()).toEqual([2]);
  });

  it('of an installation without users is done as well', async () => {
    expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({
      state: 'done',
      targetVersion: 2,
      total: 0,
      done: 0,
    });
  });

  it('leaves all that was sealed before as it was, and readable', async () => {
    const ids = await owners(5);
    const sealed = await Promise.all(ids.map(sealFor));
    await fixture.rotations.rotateMasterKey('admin');
    for (const [at, id] of ids.entries()) {
      const value = await fixture.sealer.with(id, (keys) => keys.open('records', place(id), sealed[at]!).toString());
      expect(value).toBe(id);
    }
  });

  it('moves the row to the target with the next epoch', async () => {
    const before = await fixture.row.read();
    await fixture.rotations.rotateMasterKey('admin');
    expect(await fixture.row.read()).toMatchObject({ current: before.current + 1, epoch: before.epoch + 1 });
  });

  it('wraps what is made after it with the target', async () => {
    await fixture.rotations.rotateMasterKey('admin');
    await fixture.userKeys.create('late', 'late');
    expect((await userRow('late')).versions).toEqual([expect.objectContaining({ master_version: 2 })]);
  });

  it('wraps more keys than one batch holds', async () => {
    await owners(450);
    const rotation = await ended(await fixture.rotations.rotateMasterKey('admin'));
    expect(rotation).toMatchObject({ state: 'done', total: 450, done: 450, failed: 0 });
    expect(await versionsInUse()).toEqual([2]);
  });

  it('wraps pending rows too', async () => {
    await owners(1);
    await fixture.store.collection(userKeysCollection).replace({ ...(await userRow('owner-0')), state: 'pending' });
    expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({ done: 1 });
    expect(await versionsInUse()).toEqual([2]);
  });

  it('can follow another one', async () => {
    await owners(2);
    for (const target of [2, 3, 4]) {
      expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({
        state: 'done',
        targetVersion: target,
        done: 2,
      });
    }
    expect(await versionsInUse()).toEqual([4]);
  });

  it('takes a version that was made in the home already, and makes no other', async () => {
    await fixture.masterKey.rotate(1);
    expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({ targetVersion: 2 });
    expect((await fixture.masterKey.state()).current).toBe(2);
  });

  it('tells its steps to the log', async () => {
    const { id } = await fixture.rotations.rotateMasterKey('admin');
    await fixture.audit.read({ action: 'test.flush', actor: 'test' });
    const batches = await fixture.store.collection(auditBatchesCollection).list('_id', [], { limit: 100 });
    const actions = batches.items
      .flatMap((batch) => JSON.parse(batch.entries) as { action: string; resource?: string }[])
      .filter((entry) => entry.resource === `rotation/${id}`)
      .map((entry) => entry.action);
    expect(actions).toEqual(['rotation.pinned', 'rotation.finished']);
  });

  it('is found by its id and in the list, newest first', async () => {
    const [one, two] = [
      await fixture.rotations.rotateMasterKey('admin'),
      await fixture.rotations.rotateMasterKey('admin'),
    ];
    expect(await fixture.rotations.find(one.id)).toEqual(one);
    expect((await fixture.rotations.list({ limit: 10 })).items).toEqual([two, one]);
    await expect(fixture.rotations.find('no-such-rotation')).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('a second rotation while one is under way', () => {
  it('is refused with the id of the first, whichever process asks', async () => {
    const other = await openKeyFixture(folder, { engine: fixture.engine, masterKey: fixture.masterKey });
    const first = fixture.rotations.rotateMasterKey('admin');
    const second = other.rotations.rotateMasterKey('admin');
    const [won] = await Promise.allSettled([first, second]).then((all) =>
      all.filter((one) => one.status === 'fulfilled'),
    );
    const refusals = (await Promise.allSettled([first, second])).filter((one) => one.status === 'rejected');
    expect(won).toBeDefined();
    expect(refusals.map((one) => one.reason as DomainError)).toEqual([
      expect.objectContaining({
        code: 'rotation_running',
        extensions: { rotation_id: (won as PromiseFulfilledResult<Rotation>).value.id },
      }),
    ]);
    expect((await fixture.masterKey.state()).current).toBe(2);
  });

  it('is refused while the first is paused', async () => {
    await owners(450);
    const started = fixture.rotations.rotateMasterKey('admin');
    const id = await waitFor('the job', async () => (await fixture.jobs.list(ROTATION_JOB, { limit: 1 })).items[0]?.id);
    if (await fixture.jobs.pause(id)) {
      await expect(fixture.rotations.rotateMasterKey('admin')).rejects.toMatchObject({ code: 'rotation_running' });
      await fixture.jobs.resume(id);
      fixture.jobs.onApplicationBootstrap();
    }
    await started.catch(() => undefined);
    expect(await ended({ id } as Rotation)).toMatchObject({ state: 'done', failed: 0 });
    expect(await versionsInUse()).toEqual([2]);
  });
});

describe('a key that cannot be wrapped again', () => {
  const damage = async (id: string): Promise<void> => {
    const row = await userRow(id);
    const versions = row.versions.map((entry) => ({ ...entry, wrapped: entry.wrapped.replace(/.{8}$/, 'AAAAAAA=') }));
    expect(await fixture.store.collection(userKeysCollection).replace({ ...row, versions })).toBeDefined();
  };

  it('goes into quarantine and does not stop the others', async () => {
    await owners(4);
    await damage('owner-2');
    const rotation = await fixture.rotations.rotateMasterKey('admin');
    expect(rotation).toMatchObject({ state: 'done', total: 4, done: 3, failed: 1 });
    expect((await userRow('owner-2')).quarantined).toBe(true);
  });

  it('is tried again by the next rotation', async () => {
    await owners(2);
    const sound = await userRow('owner-1');
    await damage('owner-1');
    await fixture.rotations.rotateMasterKey('admin');
    const { versions } = sound;
    await fixture.store.collection(userKeysCollection).replace({ ...(await userRow('owner-1')), versions });
    expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({
      state: 'done',
      total: 2,
      done: 2,
      failed: 0,
    });
    expect(await versionsInUse()).toEqual([3]);
  });

  it('in a row that fails MAC verification is counted, left alone, and does not keep the rotation from its end', async () => {
    await owners(3);
    const fields = { ...userKeysCollection.fields, versions: 'string', seal: 'string' };
    const raw = fixture.engine.collection<Doc & { epoch: number }>({ ...userKeysCollection, fields } as never);
    const row = (await raw.find('_id', 'owner-1'))!;
    await raw.replace({ ...row, epoch: row.epoch + 7 });
    expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({
      state: 'done',
      total: 3,
      done: 2,
      failed: 1,
    });
    expect((await raw.find('_id', 'owner-1'))!.rev).toBe(row.rev + 1);
  });

  it('of the installation fails the rotation, before any user key is touched', async () => {
    await owners(1);
    const rows = fixture.engine.collection(systemKeysCollection);
    const row = (await rows.find('_id', 'one-time-codes'))!;
    await rows.replace({ ...row, wrapped: row.wrapped.replace(/.{8}$/, 'AAAAAAA=') });
    await expect(fixture.rotations.rotateMasterKey('admin')).rejects.toMatchObject({ code: 'integrity_failed' });
    expect((await fixture.masterKey.state()).current).toBe(1);
    expect((await userRow('owner-0')).versions).toEqual([expect.objectContaining({ master_version: 1 })]);
  });

  it('of the installation that is spoilt in the midst of it fails the job, and the answer is no success', async () => {
    await owners(1);
    const rows = fixture.engine.collection(systemKeysCollection);
    const rotate = fixture.masterKey.rotate.bind(fixture.masterKey);
    jest.spyOn(fixture.masterKey, 'rotate').mockImplementation(async (expected) => {
      const row = (await rows.find('_id', 'one-time-codes'))!;
      await rows.replace({ ...row, wrapped: row.wrapped.replace(/.{8}$/, 'AAAAAAA=') });
      return rotate(expected);
    });
    const refused = await fixture.rotations.rotateMasterKey('admin').catch((error: unknown) => error as DomainError);
    expect(refused).toMatchObject({ code: 'integrity_failed', extensions: { rotation_id: expect.any(String) } });
    const id = (refused as DomainError).extensions['rotation_id'] as string;
    expect(await fixture.rotations.find(id)).toMatchObject({
      state: 'failed',
      fault: 'integrity_failed',
      inEffect: true,
    });
    expect((await userRow('owner-0')).versions).toEqual([expect.objectContaining({ master_version: 1 })]);
  });
});

describe('keys that an index has lost', () => {
  it('are wrapped again all the same', async () => {
    await owners(5);
    for (const index of ['due', 'quarantine']) await loseIndex(folder, userKeysCollection, index);
    expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({
      state: 'done',
      targetVersion: 2,
      failed: 0,
    });
    expect(await versionsInUse()).toEqual([2]);
  });
});
