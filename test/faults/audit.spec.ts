import { type Config } from '../../src/config';
import { type AuditIntent, Readiness, SystemClock } from '../../src/kernel';
import { ChainedAuditSink, verifyChain } from '../../src/audit';
import { auditBatchesCollection } from '../../src/audit/audit.collection';
import { AuthenticatedStore, type Store } from '../../src/store';
import { MongoStore } from '../../src/store/mongo';
import { pauseOutsideWrite, startActor } from '../support/actors';
import { describeWithPart, isLong, type Secantus, startSecantus } from '../support/parts';
import { waitFor } from '../support/processes';
import {
  FixedSecrets,
  openAuthenticatedStore,
  type OpenStore,
  temporaryAuthenticatedStore,
} from '../support/sealed-store';
import { useRealDeadlines } from '../support/settings';
import { describeWithSmallDisk, type SmallDisk, smallDisk } from '../support/small-disk';

useRealDeadlines();

jest.setTimeout(isLong() ? 600_000 : 120_000);

/** Resources of all intents in the log. */
async function intentsIn(open: OpenStore): Promise<Set<string>> {
  const found = new Set<string>();
  const rows = open.store.collection(auditBatchesCollection);
  let after: string | undefined;
  do {
    const page = await rows.list('_id', [], { limit: 500, ...(after === undefined ? {} : { after }) });
    for (const batch of page.items) {
      for (const entry of JSON.parse(batch.entries) as { phase: string; resource: string }[]) {
        if (entry.phase === 'intent') found.add(entry.resource);
      }
    }
    after = page.next;
  } while (after !== undefined);
  return found;
}

/** What a process had acknowledged; a last line that the kill cut is none. */
const acknowledged = (output: string): string[] => output.split('\n').slice(0, -1);

describe('the audit log of processes that die', () => {
  let open: OpenStore;
  beforeEach(async () => (open = await temporaryAuthenticatedStore()));
  afterEach(() => open.close());

  it('has lost no intent that was acknowledged, whichever instant two writers were killed at', async () => {
    for (let round = 0; round < (isLong() ? 20 : 2); round += 1) {
      const writers = [startActor('audit-writer', open.folder), startActor('audit-writer', open.folder)];
      await waitFor('both to write', () =>
        writers.every((writer) => acknowledged(writer.output()).length > 50 + round),
      );
      await Promise.all(writers.map((writer) => writer.kill()));
      const kept = await intentsIn(open);
      for (const writer of writers) {
        const lost = acknowledged(writer.output()).filter((id) => !kept.has(id));
        expect(lost).toEqual([]);
      }
      expect(await verifyChain(open.store)).toMatchObject({ writers: 2 * (round + 1), faults: [] });
    }
  });

  it('goes on after a writer that was stopped for a while, which goes on too', async () => {
    const [one, two] = [startActor('audit-writer', open.folder, '1'), startActor('audit-writer', open.folder, '1')];
    await waitFor('both to write', () => [one, two].every((writer) => acknowledged(writer.output()).length > 5));
    await pauseOutsideWrite(one, open.store);
    const before = acknowledged(two.output()).length;
    await waitFor('the other to go on', () => acknowledged(two.output()).length > before + 20);
    one.resume();
    const paused = acknowledged(one.output()).length;
    await waitFor('the first to go on', () => acknowledged(one.output()).length > paused + 20);
    await Promise.all([one.kill(), two.kill()]);
    expect(await verifyChain(open.store)).toMatchObject({ writers: 2, faults: [] });
  });
});

describeWithSmallDisk('the audit log on a disk that is full', () => {
  let disk: SmallDisk;
  let open: OpenStore;
  beforeEach(() => {
    disk = smallDisk(16);
    open = openAuthenticatedStore(disk.path);
  });
  afterEach(async () => {
    await open.close();
    disk.remove();
  });

  it('refuses acts, and goes on by itself once there is room', async () => {
    const intent: AuditIntent = { action: 'test.act', actor: 'actor', resource: 'x'.repeat(150) };
    const sink = new ChainedAuditSink(open.store, new SystemClock(), new Readiness(), { auditReads: true } as Config);
    await sink.begin(intent);
    disk.fill();
    // What free pages the store has left takes some entries more.
    await waitFor('a refusal', async () => {
      const all = await Promise.allSettled(Array.from({ length: 200 }, () => sink.begin(intent)));
      const refused = all.find((one) => one.status === 'rejected');
      if (refused !== undefined) expect(refused.reason).toMatchObject({ code: 'audit_unavailable' });
      return refused !== undefined;
    });
    disk.relieve();
    await waitFor('an act to be taken again', () =>
      sink.begin(intent).then(
        () => true,
        () => false,
      ),
    );
    await sink.onApplicationShutdown();
    expect(await verifyChain(open.store)).toMatchObject({ writers: 1, faults: [] });
  });
});

describeWithPart('secantus', 'the audit log with its database standing still', () => {
  let server: Secantus;
  let store: Store;
  beforeEach(async () => {
    server = await startSecantus();
    const engine = new MongoStore({ url: server.url, dbName: 'audit' });
    store = new AuthenticatedStore(engine, new FixedSecrets(), { onForgedRow: () => undefined });
  });
  afterEach(async () => {
    await store.close();
    await server.stop();
  });

  it('refuses acts, and writes each entry once when the database goes on', async () => {
    const intent: AuditIntent = { action: 'test.act', actor: 'actor' };
    const sink = new ChainedAuditSink(store, new SystemClock(), new Readiness(), { auditReads: true } as Config);
    store.collection(auditBatchesCollection);
    await store.prepare();
    const act = await sink.begin(intent);
    server.pause();
    act.close('done');
    const all = await Promise.allSettled([sink.begin(intent), sink.read(intent)]);
    expect(all).toEqual(
      Array(2).fill({ status: 'rejected', reason: expect.objectContaining({ code: 'store_unavailable' }) }),
    );
    server.resume();
    await waitFor('an act to be taken again', () =>
      sink.begin(intent).then(
        () => true,
        () => false,
      ),
    );
    await sink.onApplicationShutdown();
    expect(await verifyChain(store)).toMatchObject({ writers: 1, faults: [] });
    const batches = (await store.collection(auditBatchesCollection).list('_id', [], { limit: 100 })).items;
    const entries = batches.flatMap((batch) => JSON.parse(batch.entries) as { id: string; phase: string }[]);
    expect(new Set(entries.map(({ id, phase }) => `${id} ${phase}`)).size).toBe(entries.length);
  });
});
