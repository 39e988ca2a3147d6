import { type OpenStore, temporaryAuthenticatedStore } from '../../test/support/sealed-store';
import { GatheredChanges } from './gathered-changes';
import { FileUsageDoc, fileUsageCollection } from './usage.collection';

let open: OpenStore;
beforeEach(async () => {
  open = await temporaryAuthenticatedStore();
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
