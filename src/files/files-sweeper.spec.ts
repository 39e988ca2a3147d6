import { startProcess } from '../../test/support/processes';
import { FilesRig, openFilesRig } from '../../test/support/files-rig';
import { HOUR, MINUTE, Principal, SECOND } from '../kernel';
import { update } from '../store';
import { fileUsageCollection } from './usage.collection';

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
    const { row, key } = await rig.newFiles.open(`dead-${steps}`, owner.userId, {
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
    if (steps === 'counted') await rig.usage.add(owner.userId, row._id, 9);
    return row._id;
  }

  it.each(['row', 'blob', 'counted'] as const)('removes an upload that died after its %s', async (steps) => {
    await deadUpload(steps);
    rig.clock.forward(3 * MINUTE);
    await rig.sweeper.sweep();
    expect(await rig.isEmpty()).toBe(true);
    expect((await rig.usageOf(owner.userId))?.bytes ?? 0).toBe(0);
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
    rig.clock.forward(119 * SECOND);
    await rig.sweeper.sweep();
    expect(await rig.allRows()).toHaveLength(1);
    expect(await rig.blobIds()).toHaveLength(1);
  });

  it('removes what has expired: key, blob, row and share of the quota; and nothing else', async () => {
    const kept = await rig.upload(owner, 'kept', 'kept');
    await rig.upload(owner, 'later', 'later', { expires_in: '7200' });
    await rig.upload(owner, 'gone', 'gone', { expires_in: '60' });
    rig.clock.forward(HOUR);
    await rig.sweeper.sweep();
    expect((await rig.allRows()).map((row) => row.expires_at === undefined)).toEqual([true, false]);
    expect(await rig.blobIds()).toHaveLength(2);
    expect(await rig.usageOf(owner.userId)).toMatchObject({ bytes: 9, marks: {} });
    expect((await rig.download(owner, kept.id)).toString()).toBe('kept');
  });

  it('removes more than a page of files that expire at the same time', async () => {
    for (let n = 0; n < 15; n += 1) {
      const ten = Array.from({ length: 10 }, (_, m) => rig.upload(owner, `file-${n}-${m}`, 'x', { expires_in: '60' }));
      await Promise.all(ten);
    }
    rig.clock.forward(HOUR);
    await rig.sweeper.sweep();
    expect(await rig.isEmpty()).toBe(true);
    expect((await rig.usageOf(owner.userId))?.bytes).toBe(0);
  });

  it.each(['begun', 'released', 'without its blob'])('ends a removal that stopped when it was %s', async (stage) => {
    const { id } = await rig.upload(owner, 'a', 'content');
    const row = await rig.removal.begin(id, () => true);
    if (stage !== 'begun') await rig.usage.release(owner.userId, id, row!.size);
    if (stage === 'without its blob') await rig.blobs.remove(row!.blob_id);
    rig.clock.forward(3 * MINUTE);
    await rig.sweeper.sweep();
    expect(await rig.isEmpty()).toBe(true);
    expect(await rig.usageOf(owner.userId)).toMatchObject({ bytes: 0, marks: {} });
  });

  it('removes blobs that have no row, and none that has one', async () => {
    const view = await rig.upload(owner, 'a', 'content');
    await rig.blobs.put(
      '0123456789abcdef0123456789abcdef',
      (async function* () {
        yield await Promise.resolve(Buffer.from('nobody'));
      })(),
    );
    await rig.sweeper.sweepOrphans();
    expect(await rig.blobIds()).toHaveLength(1);
    expect((await rig.download(owner, view.id)).toString()).toBe('content');
  });

  it('keeps the blob of a row that somebody changed in the database', async () => {
    await rig.upload(owner, 'a', 'content');
    const raw = rig.engine.collection({
      ...rig.rows.definition,
      fields: { ...rig.rows.definition.fields, seal: 'string' } as never,
    });
    const [row] = (await raw.list('_id', [], { limit: 1 })).items;
    await raw.replace({ ...row!, size: 1 });
    await rig.sweeper.sweepOrphans();
    expect(await rig.blobIds()).toHaveLength(1);
  });

  it('brings marks of the quota to their end', async () => {
    const { id } = await rig.upload(owner, 'a', 'content');
    // As if its process had died between the two writes at the end of the upload, and another in a removal that was over.
    await rig.usage.release(owner.userId, 'long-gone', 0);
    await update(rig.store.collection(fileUsageCollection), owner.userId, (usage) => ({
      ...usage,
      marks: { ...usage.marks, [id]: { change: 'added' as const, bytes: 7, at: rig.clock.now() } },
      marked_since: rig.clock.now(),
    }));
    rig.clock.forward(HOUR);
    await rig.sweeper.sweep();
    expect(await rig.usageOf(owner.userId)).toMatchObject({ bytes: 7, marks: {} });
  });

  it('gives back the share of an upload that counted itself after it had been removed', async () => {
    await rig.usage.add(owner.userId, 'slept-too-long', 500);
    rig.clock.forward(HOUR);
    await rig.sweeper.sweep();
    expect(await rig.usageOf(owner.userId)).toMatchObject({ bytes: 0, marks: {} });
  });
});
