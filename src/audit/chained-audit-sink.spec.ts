import { setTimeout as sleep } from 'node:timers/promises';
import { type Config } from '../config';
import { type AuditIntent, audited, DomainError, Readiness, SystemClock } from '../kernel';
import { runInRequest } from '../observability';
import { type Collection, type Doc, type Draft, type Store } from '../store';
import { FaultyStore } from '../../test/support/faulty-store';
import { sleepBefore } from '../../test/support/write-faults';
import { type OpenStore, temporaryAuthenticatedStore } from '../../test/support/sealed-store';
import { ChainedAuditSink, verifyChain } from '.';
import { useRealDeadlines } from '../../test/support/settings';
import { type AuditBatchDoc, auditBatchesCollection, auditWritersCollection } from './audit.collection';
import { type AuditEntry } from './entry';

useRealDeadlines();

const intent: AuditIntent = { action: 'record.create', actor: 'user-1', resource: 'record/r-1' };

let open: OpenStore;
beforeEach(async () => (open = await temporaryAuthenticatedStore()));
afterEach(() => open.close());

const sinkOn = (store: Store, options: { reads?: boolean; readiness?: Readiness } = {}): ChainedAuditSink =>
  new ChainedAuditSink(store, new SystemClock(), options.readiness ?? new Readiness(), {
    auditReads: options.reads ?? true,
  } as Config);

async function batches(): Promise<AuditBatchDoc[]> {
  return [...(await open.store.collection(auditBatchesCollection).list('_id', [], { limit: 1000 })).items];
}

async function entries(): Promise<AuditEntry[]> {
  return (await batches()).flatMap((batch) => JSON.parse(batch.entries) as AuditEntry[]);
}

/**
 * The real store behind a switch: while the switch is off, inserts into the log fail as with an
 * unavailable engine.
 */
function switched(store: Store): { store: Store; fault: 'none' | 'before' | 'after' | 'hang'; failures: number } {
  const state = { fault: 'none' as 'none' | 'before' | 'after' | 'hang', failures: 0, store };
  const wrap = <T extends Doc>(rows: Collection<T>): Collection<T> =>
    new Proxy(rows, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        const method = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
        return name === 'insert' ? (draft: Draft<T>) => insert(method, draft) : method;
      },
    });
  const insert = async (method: (draft: unknown) => Promise<unknown>, draft: unknown): Promise<unknown> => {
    if (state.fault === 'none') return method(draft);
    state.failures += 1;
    if (state.fault === 'hang') return new Promise(() => undefined);
    if (state.fault === 'after') await method(draft);
    throw new DomainError('store_unavailable');
  };
  state.store = { collection: (definition: never) => wrap(store.collection(definition)) } as unknown as Store;
  return state;
}

describe('the audit log', () => {
  it('holds the intent of an act before the act begins', async () => {
    const sink = sinkOn(open.store);
    await audited(sink, intent, async () => {
      expect(await entries()).toEqual([expect.objectContaining({ phase: 'intent', ...intent })]);
    });
  });

  it('tells the outcome of an act under the id of its intent', async () => {
    const sink = sinkOn(open.store);
    await audited(sink, intent, () => Promise.resolve());
    await sink.onApplicationShutdown();
    const [before, after] = await entries();
    expect(after).toEqual({ ...before, at: expect.any(Number), phase: 'outcome', outcome: 'done' });
  });

  it('tells a refusal with its code, and any other error as a failure without its text', async () => {
    const sink = sinkOn(open.store);
    const refused = audited(sink, intent, () => Promise.reject(new DomainError('not_found')));
    await expect(refused).rejects.toThrow(DomainError);
    await expect(audited(sink, intent, () => Promise.reject(new Error('secret text')))).rejects.toThrow();
    await sink.onApplicationShutdown();
    const outcomes = (await entries()).filter((entry) => entry.phase === 'outcome');
    expect(outcomes.map(({ outcome, details }) => ({ outcome, details }))).toEqual([
      { outcome: 'refused', details: { code: 'not_found' } },
      { outcome: 'failed', details: undefined },
    ]);
    expect(JSON.stringify(await entries())).not.toContain('secret text');
  });

  it('counts one outcome where an act is closed twice', async () => {
    const sink = sinkOn(open.store);
    const act = await sink.begin(intent);
    act.close('done');
    act.close('failed');
    await sink.onApplicationShutdown();
    expect((await entries()).map((entry) => entry.outcome)).toEqual([undefined, 'done']);
  });

  it('names the request that an entry belongs to', async () => {
    const sink = sinkOn(open.store);
    await runInRequest({ requestId: 'request-7' }, () => sink.begin(intent));
    expect(await entries()).toEqual([expect.objectContaining({ request_id: 'request-7' })]);
  });

  it('cuts a resource that is longer than any id of ours', async () => {
    await sinkOn(open.store).begin({ ...intent, resource: `record/${'x'.repeat(10_000)}` });
    expect((await entries())[0]?.resource).toHaveLength(200);
  });

  it('keeps a read before it is answered', async () => {
    await sinkOn(open.store).read({ ...intent, action: 'record.read' });
    expect(await entries()).toEqual([expect.objectContaining({ phase: 'read', action: 'record.read' })]);
  });

  it('leaves reads out with AUDIT_READS=off, and nothing else', async () => {
    const sink = sinkOn(open.store, { reads: false });
    await sink.read({ ...intent, action: 'record.read' });
    await sink.begin(intent);
    expect((await entries()).map((entry) => entry.phase)).toEqual(['intent']);
  });

  it('writes notes that nobody waits for by the time of the stop', async () => {
    const sink = sinkOn(open.store);
    sink.note({ action: 'row.forged', actor: 'system:store' }, 'refused');
    await sink.onApplicationShutdown();
    expect(await entries()).toEqual([expect.objectContaining({ phase: 'note', outcome: 'refused' })]);
  });

  it('shares one durable write among all who wait at the time', async () => {
    const sink = sinkOn(open.store);
    await Promise.all(Array.from({ length: 1000 }, () => sink.begin(intent)));
    expect(await entries()).toHaveLength(1000);
    expect((await batches()).length).toBeLessThan(20);
  });

  it('registers a writer at the first entry and not before', async () => {
    const writers = open.store.collection(auditWritersCollection);
    const sink = sinkOn(open.store);
    expect(await writers.count('_id', [])).toBe(0);
    await sink.begin(intent);
    expect(await writers.count('_id', [])).toBe(1);
  });

  it('gives processes that start at once a number each', async () => {
    await Promise.all(Array.from({ length: 12 }, () => sinkOn(open.store).begin(intent)));
    expect(await verifyChain(open.store)).toEqual({ writers: 12, batches: 12, entries: 12, faults: [] });
  });
});

describe('the audit log while the store cannot serve', () => {
  it('refuses an act whose intent cannot be written', async () => {
    const faulty = switched(open.store);
    const sink = sinkOn(faulty.store);
    faulty.fault = 'before';
    const act = jest.fn(() => Promise.resolve());
    await expect(audited(sink, intent, act)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(act).not.toHaveBeenCalled();
  });

  it('refuses a read that cannot be written', async () => {
    const faulty = switched(open.store);
    faulty.fault = 'before';
    await expect(sinkOn(faulty.store).read(intent)).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('refuses instead of hanging where the store does not answer', async () => {
    const faulty = switched(open.store);
    const sink = sinkOn(faulty.store);
    faulty.fault = 'hang';
    const all = await Promise.allSettled([sink.begin(intent), sink.begin(intent), sink.read(intent)]);
    expect(all.map((one) => one.status === 'rejected' && (one.reason as DomainError).code)).toEqual(
      Array(3).fill('store_unavailable'),
    );
  });

  it('goes on by itself, and then tells of each refusal too', async () => {
    const faulty = switched(open.store);
    const sink = sinkOn(faulty.store);
    await sink.begin(intent);
    faulty.fault = 'before';
    await expect(sink.begin(intent)).rejects.toThrow(DomainError);
    faulty.fault = 'none';
    await sink.begin(intent);
    const told = (await entries()).map(({ phase, outcome }) => `${phase} ${outcome ?? ''}`.trim());
    expect(told.sort()).toEqual(['intent', 'intent', 'intent', 'outcome refused']);
    expect(await verifyChain(open.store)).toMatchObject({ faults: [] });
  });

  it('keeps the outcome of an act that was under way when the store went', async () => {
    const faulty = switched(open.store);
    const sink = sinkOn(faulty.store);
    const act = await sink.begin(intent);
    faulty.fault = 'before';
    act.close('done');
    await sink.onApplicationShutdown();
    faulty.fault = 'none';
    await sink.onApplicationShutdown();
    expect((await entries()).map((entry) => entry.outcome)).toEqual([undefined, 'done']);
  });

  it.each(['before', 'after'] as const)('writes an entry once where a write failed %s it was stored', async (fault) => {
    const faulty = switched(open.store);
    const sink = sinkOn(faulty.store);
    await sink.begin(intent);
    faulty.fault = fault;
    sink.note({ action: 'test.unknown', actor: 'nobody' }, 'done');
    await sink.onApplicationShutdown();
    faulty.fault = 'none';
    await sink.onApplicationShutdown();
    expect((await entries()).filter((entry) => entry.action === 'test.unknown')).toHaveLength(1);
    expect(await verifyChain(open.store)).toMatchObject({ writers: 1, batches: 2, faults: [] });
  });

  it('writes an entry once where the store stalled while the process registered its chain', async () => {
    const stalled = new FaultyStore(open.store);
    const pause = sleepBefore(({ target }) => target === 'audit_writers');
    stalled.faults.choose = pause.choice;
    const sink = sinkOn(stalled);
    await expect(sink.begin(intent)).rejects.toMatchObject({ code: 'store_unavailable' });
    // The second attempt overtakes the first one, which still waits for the store.
    await sink.begin({ ...intent, resource: 'record/r-2' });
    pause.release();
    await sleep(100);
    await sink.onApplicationShutdown();
    const intents = (await entries()).filter(({ phase }) => phase === 'intent');
    expect(intents.map(({ resource }) => resource).sort()).toEqual(['record/r-1', 'record/r-2']);
    expect(await verifyChain(open.store)).toMatchObject({ writers: 1, faults: [] });
  });

  it('is not ready until it has written again', async () => {
    const faulty = switched(open.store);
    const readiness = new Readiness();
    const sink = sinkOn(faulty.store, { readiness });
    const [probe] = readiness.probes;
    await expect(probe?.check()).resolves.toBeUndefined();
    faulty.fault = 'before';
    await expect(sink.begin(intent)).rejects.toThrow(DomainError);
    await expect(probe?.check()).rejects.toThrow(DomainError);
    faulty.fault = 'none';
    await expect(probe?.check()).resolves.toBeUndefined();
  });

  it('keeps a bounded number of entries and says how many it had to drop', async () => {
    const faulty = switched(open.store);
    const sink = sinkOn(faulty.store);
    faulty.fault = 'before';
    for (let n = 0; n < 10_100; n += 1) sink.note({ action: 'test.flood', actor: 'nobody' }, 'failed');
    await expect(sink.begin(intent)).rejects.toMatchObject({ code: 'audit_unavailable' });
    faulty.fault = 'none';
    await sink.onApplicationShutdown();
    const kept = await entries();
    expect(kept.filter((entry) => entry.action === 'test.flood')).toHaveLength(10_000);
    expect(kept.at(-1)).toMatchObject({ action: 'audit.dropped', details: { count: 100 } });
  });
});
