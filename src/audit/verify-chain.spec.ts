import { type Config } from '../config';
import { Readiness, SystemClock } from '../kernel';
import { type Collection, type Doc } from '../store';
import { type OpenStore, temporaryAuthenticatedStore } from '../../test/support/sealed-store';
import { ChainedAuditSink, verifyChain } from '.';
import { type AuditBatchDoc, auditBatchesCollection, auditWritersCollection } from './audit.collection';
import { batchHash } from './chain';

let open: OpenStore;
beforeEach(async () => (open = await temporaryAuthenticatedStore()));
afterEach(() => open.close());

const sealedBatches = (): Collection<AuditBatchDoc> => open.store.collection(auditBatchesCollection);

/**
 * Raw rows of the engine, which a writer to the database could change. `definition` must be the
 * engine's own, because the MACs depend on it.
 */
async function batchIds(): Promise<string[]> {
  return (await sealedBatches().list('_id', [], { limit: 100 })).items.map((row) => row._id);
}

async function logOf(writers: number, batchesEach: number): Promise<void> {
  for (let writer = 0; writer < writers; writer += 1) {
    const sink = new ChainedAuditSink(open.store, new SystemClock(), new Readiness(), { auditReads: true } as Config);
    for (let n = 0; n < batchesEach; n += 1) await sink.begin({ action: 'test.act', actor: `user-${n}` });
  }
}

const faults = async (): Promise<string[]> => (await verifyChain(open.store)).faults.map((fault) => fault.kind);

/**
 * Changes a row and recomputes its MAC with the integrity key, so that the MACs alone do not reveal
 * the change.
 */
async function rewrite(id: string, change: (row: AuditBatchDoc) => AuditBatchDoc): Promise<void> {
  const row = await sealedBatches().find('_id', id);
  expect(await sealedBatches().replace(change(row!))).toBeDefined();
}

describe('the verification of the audit log', () => {
  it('finds nothing to say about an empty log', async () => {
    expect(await verifyChain(open.store)).toEqual({ writers: 0, batches: 0, entries: 0, faults: [] });
  });

  it('finds no fault in what was written', async () => {
    await logOf(3, 4);
    expect(await verifyChain(open.store)).toEqual({ writers: 3, batches: 12, entries: 12, faults: [] });
  });

  it('finds a batch that was taken out of the middle', async () => {
    await logOf(1, 4);
    await sealedBatches().remove((await batchIds())[1]!);
    expect(await faults()).toEqual(['missing']);
  });

  it('finds the first batch of a writer gone', async () => {
    await logOf(1, 3);
    await sealedBatches().remove((await batchIds())[0]!);
    expect(await faults()).toEqual(['missing']);
  });

  it('finds a row that was changed in the database', async () => {
    await logOf(1, 3);
    const raw = open.engine.collection<Doc & { seal: string }>({
      ...(auditBatchesCollection as never as object),
      fields: { ...auditBatchesCollection.fields, seal: 'string' },
    } as never);
    const row = (await raw.find('_id', (await batchIds())[1]!))!;
    await raw.replace({ ...row, entries: '[]' } as never);
    expect(await faults()).toEqual(expect.arrayContaining(['forged']));
  });

  it('finds entries that were changed by somebody who can seal rows', async () => {
    await logOf(1, 3);
    const id = (await batchIds())[1]!;
    await rewrite(id, (row) => ({ ...row, entries: row.entries.replace('test.act', 'test.lie') }));
    expect(await faults()).toEqual(['changed']);
  });

  it('finds a changed batch whose hash was made anew', async () => {
    await logOf(1, 3);
    await rewrite((await batchIds())[1]!, (row) => {
      const lie = { ...row, entries: row.entries.replace('test.act', 'test.lie') };
      return { ...lie, hash: batchHash(lie) };
    });
    expect(await faults()).toEqual(['unlinked']);
  });

  it('finds two batches that changed places', async () => {
    await logOf(1, 4);
    const [, second, third] = await batchIds();
    const [one, two] = [(await sealedBatches().find('_id', second!))!, (await sealedBatches().find('_id', third!))!];
    const swapped = (to: AuditBatchDoc, from: AuditBatchDoc): AuditBatchDoc => ({
      ...to,
      entries: from.entries,
      prev_hash: from.prev_hash,
      hash: from.hash,
    });
    await rewrite(second!, (row) => swapped(row, two));
    await rewrite(third!, (row) => swapped(row, one));
    expect(await faults()).toEqual(expect.arrayContaining(['changed', 'unlinked']));
  });

  it('finds a writer that was taken out of the registry', async () => {
    await logOf(3, 2);
    await open.store.collection(auditWritersCollection).remove('000000000002');
    expect(await faults()).toEqual(['missing', 'unregistered']);
  });

  it('finds the last writer taken out of the registry by its batches', async () => {
    await logOf(2, 2);
    await open.store.collection(auditWritersCollection).remove('000000000002');
    expect(await faults()).toEqual(['unregistered']);
  });
});
