import { type FilesRig, openFilesRig } from '../../../test/support/files-rig';
import { usageParts } from '../../../test/support/usage';
import { BlobStore } from '../../blobs';
import { HOUR, Principal } from '../../kernel';
import { type FileUsageDoc, fileUsageCollection, GatheredChanges } from '../../quota';
import { Collection } from '../../store';
import { QuotaLedger } from './quota-ledger';

const BYTES = 9;

/** Stands in the way of a blob that is about to be durable. */
class Gate {
  reached!: () => void;
  opened!: () => void;
  readonly isReached = new Promise<void>((resolve) => (this.reached = resolve));
  readonly isOpened = new Promise<void>((resolve) => (this.opened = resolve));

  before(real: BlobStore): BlobStore {
    const put = real.put.bind(real);
    return Object.assign(Object.create(real) as BlobStore, {
      put: async (id: string, source: AsyncIterable<Uint8Array>): Promise<number> => {
        const size = await put(id, source);
        this.reached();
        await this.isOpened;
        return size;
      },
    });
  }
}

let rig: FilesRig;
let owner: Principal;
let gate: Gate | undefined;

beforeEach(async () => {
  gate = undefined;
  rig = await openFilesRig({ blobs: (real) => gated(real) });
  owner = await rig.newOwner();
});
afterEach(() => {
  jest.restoreAllMocks();
  return rig.close();
});

/** The gate of the test, if it has one by the time of the put. */
const gated = (real: BlobStore): BlobStore =>
  new Proxy(real, {
    get: (target, name) => {
      const value: unknown = Reflect.get(name === 'put' ? (gate?.before(real) ?? target) : target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });

const rows = (): Collection<FileUsageDoc> => rig.store.collection(fileUsageCollection);

/** A row as an upload has it when its content is stored. */
async function pendingFile(): Promise<string> {
  gate = new Gate();
  void rig.upload(owner, 'under way', 'x').catch(() => undefined);
  await gate.isReached;
  return (await rig.allRows())[0]!._id;
}

describe('the sum of what an owner has', () => {
  it('is not begun anew by an upload that outlives its account', async () => {
    gate = new Gate();
    const upload = rig.upload(owner, 'late', 'x');
    await gate.isReached;
    await rig.owned.eraseUser(owner.ownerId);
    gate.opened();
    await expect(upload).rejects.toMatchObject({ code: 'conflict' });
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
    expect(await rig.isEmpty()).toBe(true);
  });

  it('is not there after an erase and a first upload, whichever comes first in each of their steps', async () => {
    for (let round = 0; round < 40; round += 1) {
      const someone = await rig.newOwner();
      const upload = rig.upload(someone, 'racing', 'x').catch(() => undefined);
      for (let turn = 0; turn < round; turn += 1) await new Promise(setImmediate);
      await rig.owned.eraseUser(someone.ownerId);
      await upload;
      // As the erase of an account does: until a pass finds nothing.
      while ((await rig.owned.eraseUser(someone.ownerId)) > 0);
      expect(await rig.usageOf(someone.ownerId)).toBeUndefined();
    }
  });

  it('goes with the sweep where the process died before it looked once more', async () => {
    const marks = { nobody: { change: 'added' as const, bytes: BYTES, at: rig.clock.now() } };
    await rows().insert({ _id: owner.ownerId, bytes: BYTES, marks, marked_since: rig.clock.now() });
    await rig.sweepAfter(HOUR);
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
  });

  it('is refused to a content whose removal is under way, and to one that is there already', async () => {
    const id = await pendingFile();
    await rig.removal.begin(id, () => true);
    await expect(rig.usage.add(owner.ownerId, id, BYTES)).rejects.toMatchObject({ code: 'conflict' });
    await expect(rig.usage.add(owner.ownerId, `${id}.2`, BYTES)).rejects.toMatchObject({ code: 'conflict' });
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
    gate!.opened();
  });

  it('is given back once for each of several contents, by one write', async () => {
    const { id } = await rig.upload(owner, 'kept', 'x'.repeat(BYTES));
    const before = (await rig.usageOf(owner.ownerId))!.rev;
    const shares = [
      { mark: id, bytes: 4 },
      { mark: `${id}.2`, bytes: 3 },
      { mark: `${id}.3`, bytes: undefined },
    ];
    await rig.usage.release(owner.ownerId, shares);
    await rig.usage.release(owner.ownerId, shares);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 2, rev: before + 1 });
  });

  it('is given back once for a file, also by a process that slept before it gave the share back', async () => {
    await rig.upload(owner, 'kept', 'x'.repeat(20));
    const { id } = await rig.upload(owner, 'going', 'x'.repeat(BYTES));
    const row = (await rig.removal.begin(id, () => true))!;
    const make = jest.spyOn(GatheredChanges.prototype, 'make');
    const asleep = new Promise<() => Promise<unknown>>((resolve) => {
      make.mockImplementationOnce(function (this: GatheredChanges<FileUsageDoc>, ...change) {
        return new Promise((done) => resolve(async () => done(await this.make(...change))));
      });
    });
    const sleeper = rig.removal.finish(row);
    const wakeUp = await asleep;
    await rig.removal.finish(row);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 20, marks: {} });
    await wakeUp();
    await sleeper;
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 20 });
  });

  it('is given back once for a version, also by a process that slept before it gave the share back', async () => {
    const { id } = await rig.upload(owner, 'a', 'x'.repeat(BYTES));
    await rig.replace(owner, id, 'x'.repeat(20));
    const make = jest.spyOn(GatheredChanges.prototype, 'make');
    const asleep = new Promise<() => Promise<unknown>>((resolve) => {
      make.mockImplementationOnce(function (this: GatheredChanges<FileUsageDoc>, ...change) {
        return new Promise((done) => resolve(async () => done(await this.make(...change))));
      });
    });
    const sleeper = rig.removal.dropContents(id, ({ version }) => version === 1);
    const wakeUp = await asleep;
    const row = (await rig.rows.find('_id', id))!;
    await rig.removal.finishContents(row, row.others!);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 20, marks: {} });
    await wakeUp();
    await sleeper;
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 20 });
  });

  it('is looked for anew where another process gave it back between the look and the write', async () => {
    await rig.upload(owner, 'kept', 'x'.repeat(20));
    const { id } = await rig.upload(owner, 'going', 'x'.repeat(BYTES));
    const other = new QuotaLedger(rig.store, rig.clock, ...usageParts(rig.store));
    let looks = 0;
    await rig.usage.releaseFound(owner.ownerId, async () => {
      looks += 1;
      if (looks > 1) return [];
      await other.release(owner.ownerId, [{ mark: id, bytes: BYTES }]);
      await other.settle(owner.ownerId, id);
      return [{ mark: id, bytes: BYTES }];
    });
    expect(looks).toBe(2);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 20, marks: {} });
  });

  it('stays given back where the upload that added it ends later than the removal began', async () => {
    await rig.upload(owner, 'kept', 'x'.repeat(20));
    const { id } = await rig.upload(owner, 'going', 'x'.repeat(BYTES));
    const row = (await rig.removal.begin(id, () => true))!;
    await rig.usage.release(owner.ownerId, [{ mark: id, bytes: BYTES }]);
    await rig.usage.settleAdded(owner.ownerId, id);
    await rig.removal.finish(row);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 20, marks: {} });
  });

  it('of nothing is no row', async () => {
    const { id } = await rig.upload(owner, 'short-lived', 'x');
    await rig.deletion.remove(owner, id);
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
    await rig.upload(owner, 'next', 'xy');
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 2 });
  });
});
