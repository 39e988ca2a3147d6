import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FilesRig, openFilesRig } from '../../../test/support/files-rig';
import { startProcess } from '../../../test/support/processes';
import { auditBatchesCollection } from '../../audit/audit.collection';
import { DAY, DomainError, HOUR, MINUTE, Principal, SECOND } from '../../kernel';
import { fileUsageCollection } from '../../quota';
import { update } from '../../store';

describe('the sweeper', () => {
  let rig: FilesRig;
  let owner: Principal;

  beforeEach(async () => {
    rig = await openFilesRig();
    owner = await rig.newOwner();
  });
  afterEach(() => rig.close());

  /** What an upload leaves when its process dies after `steps`. */
  async function deadUpload(steps: 'row' | 'blob' | 'counted'): Promise<string> {
    const { row, key } = await rig.newFiles.open(`dead-${steps}`, owner.ownerId, {
      name: 'dead',
      contentType: 'a/b',
      expiresInMs: undefined,
      sha256: undefined,
      clientEncrypted: false,
      envelope: undefined,
    } as never);
    key.destroy();
    if (steps !== 'row')
      await rig.blobs.put(
        row.blob_id,
        (async function* () {
          yield await Promise.resolve(Buffer.from('left over'));
        })(),
      );
    if (steps === 'counted') await rig.usage.add(owner.ownerId, row._id, 9);
    return row._id;
  }

  async function strayBlob(digit: string): Promise<string> {
    const id = digit.repeat(32);
    await rig.blobs.put(
      id,
      (async function* () {
        yield await Promise.resolve(Buffer.from('nobody'));
      })(),
    );
    return id;
  }

  /** A blob that its store refuses to remove, as an object under a lock. */
  function standsFirm(blobId: string): jest.SpyInstance {
    const remove = rig.blobs.remove.bind(rig.blobs);
    return jest.spyOn(rig.blobs, 'remove').mockImplementation((id) => {
      if (id === blobId) return Promise.reject(new DomainError('store_unavailable'));
      return remove(id);
    });
  }

  it.each(['row', 'blob', 'counted'] as const)('removes an upload that died after its %s', async (steps) => {
    await deadUpload(steps);
    await rig.sweepAfter(3 * MINUTE);
    expect(await rig.isEmpty()).toBe(true);
    expect((await rig.usageOf(owner.ownerId))?.bytes ?? 0).toBe(0);
  });

  it('removes at once what a process left that is known to be gone', async () => {
    const ended = startProcess(process.execPath, ['--version']);
    await ended.exited;
    const id = await deadUpload('counted');
    await update(rig.rows, id, (row) => ({ ...row, worker: row.worker!.replace(/\/\d+\//, `/${ended.pid}/`) }));
    await rig.sweeper.sweep();
    expect(await rig.isEmpty()).toBe(true);
  });

  it('leaves alone an upload that gave a sign of life two minutes ago', async () => {
    await deadUpload('blob');
    await rig.sweepAfter(119 * SECOND);
    expect(await rig.allRows()).toHaveLength(1);
    expect(await rig.blobIds()).toHaveLength(1);
  });

  it("leaves alone a live upload where this replica's clock is an hour fast, and removes it once it is silent", async () => {
    const id = await deadUpload('counted');
    const ahead = jest.spyOn(rig.clock, 'now').mockImplementation(() => Date.now() + HOUR);
    for (let beat = 0; beat < 5; beat += 1) {
      await rig.sweeper.sweep();
      rig.clock.forward(MINUTE);
      await update(rig.rows, id, (row) => ({ ...row, heartbeat_at: Date.now() + beat }));
    }
    expect(await rig.allRows()).toHaveLength(1);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 9, marks: { [id]: { change: 'added' } } });
    await rig.sweepAfter(2 * MINUTE);
    expect(await rig.isEmpty()).toBe(true);
    ahead.mockRestore();
  });

  it('finds a dead upload behind a page of live ones whose clocks are behind', async () => {
    const dead = await deadUpload('row');
    for (let n = 0; n < 101; n += 1) {
      const id = `live-${n}`;
      const row = (await rig.rows.find('_id', dead))!;
      await rig.rows.insert({ ...row, _id: id, blob_id: `${n}`.padStart(32, '0'), heartbeat_at: n });
    }
    const beat = async (): Promise<void> => {
      for (const { _id } of (await rig.rows.list('_id', [], { limit: 200 })).items) {
        if (_id !== dead) await update(rig.rows, _id, (row) => ({ ...row, heartbeat_at: row.heartbeat_at! + 1 }));
      }
    };
    await rig.sweeper.sweep();
    rig.clock.forward(3 * MINUTE);
    await beat();
    await rig.sweeper.sweep();
    expect(await rig.rows.find('_id', dead)).toBeUndefined();
    expect(await rig.rows.count('_id', [])).toBe(101);
  });

  it('removes what has expired: key, blob, row and share of the quota; and nothing else', async () => {
    const kept = await rig.upload(owner, 'kept', 'kept');
    await rig.upload(owner, 'later', 'later', { expires_in: '7200' });
    await rig.upload(owner, 'gone', 'gone', { expires_in: '60' });
    await rig.sweepAfter(HOUR);
    expect((await rig.allRows()).map((row) => row.expires_at === undefined)).toEqual([true, false]);
    expect(await rig.blobIds()).toHaveLength(2);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 9, marks: {} });
    expect((await rig.download(owner, kept.id)).toString()).toBe('kept');
  });

  it('tells the audit log of each file that expires or leaves the trash, many in one commit', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 40; n += 1) ids.push((await rig.upload(owner, `file-${n}`, 'x', { expires_in: '60' })).id);
    const { id: trashed } = await rig.upload(owner, 'trashed', 'x');
    await rig.removal.trash(trashed, rig.clock.now() + MINUTE);
    await rig.auditEntries();
    const batches = rig.store.collection(auditBatchesCollection);
    const before = await batches.count('_id', []);
    await rig.sweepAfter(HOUR);
    const entries = (await rig.auditEntries()).filter(({ actor }) => actor === 'system:files');
    const told = (action: string, phase: string) =>
      entries.filter((entry) => entry.action === action && entry.phase === phase);
    expect(told('file.expire', 'intent').map(({ resource }) => resource)).toEqual(ids.map((id) => `file/${id}`));
    expect(told('file.expire', 'outcome').filter(({ outcome }) => outcome === 'done')).toHaveLength(40);
    expect(told('file.purge', 'intent')).toMatchObject([
      { resource: `file/${trashed}`, details: { owner: owner.ownerId } },
    ]);
    expect(await rig.isEmpty()).toBe(true);
    expect((await batches.count('_id', [])) - before).toBeLessThan(10);
  });

  it('removes nothing that the audit log cannot be told of, and all of it later', async () => {
    await rig.upload(owner, 'expired', 'x', { expires_in: '60' });
    rig.clock.forward(HOUR);
    jest.spyOn(rig.audit, 'begin').mockRejectedValueOnce(new DomainError('audit_unavailable'));
    await expect(rig.sweeper.sweep()).rejects.toMatchObject({ code: 'audit_unavailable' });
    expect(await rig.allRows()).toHaveLength(1);
    await rig.sweeper.sweep();
    expect(await rig.isEmpty()).toBe(true);
  });

  it('removes more than a page of files that expire at the same time', async () => {
    for (let n = 0; n < 15; n += 1) {
      const ten = Array.from({ length: 10 }, (_, m) => rig.upload(owner, `file-${n}-${m}`, 'x', { expires_in: '60' }));
      await Promise.all(ten);
    }
    await rig.sweepAfter(HOUR);
    expect(await rig.isEmpty()).toBe(true);
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
  });

  it.each(['begun', 'released', 'without its blob'])('ends a removal that stopped when it was %s', async (stage) => {
    const { id } = await rig.upload(owner, 'a', 'content');
    const row = await rig.removal.begin(id, () => true);
    if (stage !== 'begun') await rig.usage.release(owner.ownerId, [{ mark: id, bytes: row!.size }]);
    if (stage === 'without its blob') await rig.blobs.remove(row!.blob_id);
    await rig.sweepAfter(3 * MINUTE);
    expect(await rig.isEmpty()).toBe(true);
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
  });

  it('removes blobs that have no row, and none that has one', async () => {
    const view = await rig.upload(owner, 'a', 'content');
    await strayBlob('0');
    for (const id of await rig.blobIds()) await rig.ageBlob(id, 2 * DAY);
    await rig.refs.sweepOrphans();
    expect(await rig.blobIds()).toHaveLength(1);
    expect((await rig.download(owner, view.id)).toString()).toBe('content');
  });

  it('keeps a blob without a row until it is a day old', async () => {
    const young = await strayBlob('0');
    await rig.ageBlob(young, DAY - MINUTE);
    await rig.refs.sweepOrphans();
    expect(await rig.blobIds()).toEqual([young]);
    await rig.ageBlob(young, DAY + MINUTE);
    await rig.refs.sweepOrphans();
    expect(await rig.blobIds()).toEqual([]);
  });

  it('removes the other blobs without a row where one cannot be removed, and what dead puts left', async () => {
    for (const n of ['0', '1', '2']) await rig.ageBlob(await strayBlob(n), 2 * DAY);
    const stuck = (await rig.blobIds())[0]!;
    const partial = join(rig.blobFolder, 'partial', 'dead');
    await writeFile(partial, 'left over');
    await utimes(partial, 0, 0);
    const blobs = standsFirm(stuck);
    await expect(rig.refs.sweepOrphans()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await rig.blobIds()).toEqual([stuck]);
    expect(await readdir(join(rig.blobFolder, 'partial'))).toEqual([]);
    blobs.mockRestore();
  });

  it('removes the other files whose time has come where one cannot be removed, and goes on to the trash', async () => {
    const first = await rig.upload(owner, 'first', 'first', { expires_in: '60' });
    for (const name of ['second', 'third']) await rig.upload(owner, name, name, { expires_in: '61' });
    const trashed = await rig.upload(owner, 'trashed', 'trashed');
    await rig.removal.trash(trashed.id, rig.clock.now() + MINUTE);
    const stuck = (await rig.rows.find('_id', first.id))!;
    const blobs = standsFirm(stuck.blob_id);
    rig.clock.forward(HOUR);
    await expect(rig.sweeper.sweep()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect((await rig.allRows()).map(({ _id }) => _id)).toEqual([first.id]);
    expect(await rig.blobIds()).toEqual([stuck.blob_id]);
    blobs.mockRestore();
    await rig.sweepAfter(HOUR);
    expect(await rig.isEmpty()).toBe(true);
  });

  it("removes other owners' files where somebody changed the sum of one of them in the database", async () => {
    const other = await rig.newOwner();
    await rig.upload(owner, 'first', 'first', { expires_in: '60' });
    await rig.upload(other, 'second', 'second', { expires_in: '61' });
    const definition = rig.store.collection(fileUsageCollection).definition;
    const raw = rig.engine.collection({ ...definition, fields: { ...definition.fields, seal: 'string' } as never });
    await raw.replace({ ...(await raw.find('_id', owner.ownerId))!, bytes: 0 });
    rig.clock.forward(HOUR);
    await expect(rig.sweeper.sweep()).rejects.toMatchObject({ code: 'integrity_failed' });
    expect((await rig.allRows()).map((row) => row.owner_id)).toEqual([owner.ownerId]);
    expect(await rig.usageOf(other.ownerId)).toBeUndefined();
  });

  it('keeps the blob of a row that somebody changed in the database', async () => {
    await rig.upload(owner, 'a', 'content');
    const raw = rig.engine.collection({
      ...rig.rows.definition,
      fields: { ...rig.rows.definition.fields, seal: 'string' } as never,
    });
    const [row] = (await raw.list('_id', [], { limit: 1 })).items;
    await raw.replace({ ...row!, size: 1 });
    await rig.refs.sweepOrphans();
    expect(await rig.blobIds()).toHaveLength(1);
  });

  it('brings marks of the quota to their end', async () => {
    const { id } = await rig.upload(owner, 'a', 'content');
    // As if its process had died between the two writes at the end of the upload, and another in a
    // removal that was over.
    await rig.usage.release(owner.ownerId, [{ mark: 'long-gone', bytes: 0 }]);
    await update(rig.store.collection(fileUsageCollection), owner.ownerId, (usage) => ({
      ...usage,
      marks: { ...usage.marks, [id]: { change: 'added' as const, bytes: 7, at: rig.clock.now() } },
      marked_since: rig.clock.now(),
    }));
    await rig.sweepAfter(HOUR);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 7, marks: {} });
  });

  it('gives back the share of an upload that counted itself after it had been removed', async () => {
    await rig.upload(owner, 'another', 'content');
    await rig.usage.add(owner.ownerId, 'slept-too-long', 500);
    await rig.sweepAfter(HOUR);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 7, marks: {} });
  });
});
