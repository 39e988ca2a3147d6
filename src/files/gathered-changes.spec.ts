import { startActor } from '../../test/support/actors';
import { type OpenStore, openSealedStore, temporarySealedStore } from '../../test/support/sealed-store';
import { usageParts } from '../../test/support/usage';
import { SystemClock, newId } from '../kernel';
import { GatheredChanges } from '../quota';
import { UsageLedger } from './usage-ledger';
import { FileUsageDoc, fileUsageCollection } from '../quota';

let open: OpenStore;
beforeEach(async () => {
  open = await temporarySealedStore();
});
afterEach(() => open.close());

const rows = () => open.store.collection(fileUsageCollection);
const plus = (usage: FileUsageDoc | undefined, bytes = 1): FileUsageDoc => ({
  ...(usage ?? { _id: 'ann', rev: 0, marks: {} }),
  bytes: (usage?.bytes ?? 0) + bytes,
});

describe('changes of one row', () => {
  it('that come while a write is under way are made by one write together', async () => {
    const written = rows();
    const writes = [jest.spyOn(written, 'insert'), jest.spyOn(written, 'replace')];
    const changes = new GatheredChanges(written);
    const outcomes = await Promise.all(Array.from({ length: 500 }, () => changes.make('ann', (row) => plus(row))));
    expect(await rows().find('_id', 'ann')).toMatchObject({ bytes: 500 });
    expect(writes.map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
    for (const write of writes) write.mockRestore();
    expect(outcomes.filter((wasThere) => !wasThere)).toHaveLength(1);
  });

  it('that refuse stop themselves alone', async () => {
    const changes = new GatheredChanges(rows());
    const upTo = (most: number) => (row: FileUsageDoc | undefined) => {
      if ((row?.bytes ?? 0) >= most) throw new Error('full');
      return plus(row);
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => changes.make('ann', upTo(20))));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(20);
    expect(await rows().find('_id', 'ann')).toMatchObject({ bytes: 20 });
  });

  it('may make the row and take it away again, in any order', async () => {
    const changes = new GatheredChanges(rows());
    const gone = () => undefined;
    await Promise.all([gone, plus, gone, plus, gone].map((change) => changes.make('ann', (row) => change(row))));
    expect(await rows().find('_id', 'ann')).toBeUndefined();
    await Promise.all([plus, gone, plus].map((change) => changes.make('ann', (row) => change(row))));
    expect(await rows().find('_id', 'ann')).toMatchObject({ bytes: 1 });
  });

  it('fail together where the store fails, and the next ones do not', async () => {
    const broken = new Error('no store');
    const faulty = rows();
    const find = jest.spyOn(faulty, 'find').mockRejectedValueOnce(broken);
    const changes = new GatheredChanges(faulty);
    await expect(changes.make('ann', plus)).rejects.toBe(broken);
    await changes.make('ann', plus);
    find.mockRestore();
    expect(await rows().find('_id', 'ann')).toMatchObject({ bytes: 1 });
  });
});

describe('the sum of an owner', () => {
  it('is kept by two processes of many uploads each, none of which is refused', async () => {
    const owner = newId();
    await rows().insert({ _id: owner, bytes: 1, marks: {} });
    const actors = [1, 2].map(() => startActor('usage-writer', open.folder, owner, '600', '64'));
    await Promise.all(actors.map(({ exited }) => exited));
    for (const actor of actors) expect(actor.output()).toBe('counted 600 refused none\n');
    expect(await rows().find('_id', owner)).toMatchObject({ bytes: 1_201, marks: {} });
  });

  it('refuses no upload of a process for the others, and none of them passes the quota', async () => {
    const owner = newId();
    await rows().insert({ _id: owner, bytes: 100, marks: {} });
    const ledgers = [open.store, openSealedStore(open.folder).store].map(
      (store) => new UsageLedger(store, new SystemClock(), ...usageParts(store, { userQuota: 400 })),
    );
    const outcomes = await Promise.allSettled(
      Array.from({ length: 400 }, (_, at) => ledgers[at % 2]!.add(owner, `f${at}`, 1)),
    );
    const codes = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [(outcome.reason as { code: string }).code] : [],
    );
    expect(codes).toEqual(Array(100).fill('quota_exceeded'));
    expect(await rows().find('_id', owner)).toMatchObject({ bytes: 400 });
  });
});
