import { cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { sha256Stream } from '../../crypto';
import { StartupError } from '../../kernel';
import { FilesystemBlobStore } from '../filesystem';
import { BlobMigration } from './blob-migration';
import { BlobRelocation, BlobRelocations } from './blob-plan';
import { RelocatableBlobStore } from './relocatable-blob-store';

/** The document of an installation, which all its processes read. */
class SharedPlans extends BlobRelocations {
  #plan: BlobRelocation = { current: 'former', locations: {} };

  current(): Promise<BlobRelocation> {
    return Promise.resolve(this.#plan);
  }
  async begin(to: string, location: string): Promise<BlobRelocation> {
    this.#plan = { ...this.#plan, target: to };
    return this.adopt(to, location);
  }
  end(to: string): Promise<BlobRelocation> {
    const { [this.#plan.current]: _former, ...locations } = this.#plan.locations;
    this.#plan = { current: to, locations };
    return this.current();
  }
  async record(name: string, location: string): Promise<BlobRelocation> {
    return this.#plan.locations[name] === undefined ? this.adopt(name, location) : this.current();
  }
  adopt(name: string, location: string): Promise<BlobRelocation> {
    this.#plan = { ...this.#plan, locations: { ...this.#plan.locations, [name]: location } };
    return this.current();
  }
}

describe('the blob store of an installation whose blobs are moved', () => {
  let folder: string;
  let plans: SharedPlans;
  let former: FilesystemBlobStore;
  let target: FilesystemBlobStore;
  let process: RelocatableBlobStore;
  let other: RelocatableBlobStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-homes-'));
    plans = new SharedPlans();
    former = new FilesystemBlobStore(join(folder, 'former'));
    target = new FilesystemBlobStore(join(folder, 'new'));
    [process, other] = [homed(), homed()];
    await plans.record('former', await process.claim('former', 'ours'));
    await process.open('ours');
    await other.open('ours');
  });
  const begin = async (): Promise<BlobRelocation> => plans.begin('new', await target.open('ours'));
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const homed = (): RelocatableBlobStore => {
    const stores = new Map([
      ['former', former],
      ['new', target],
    ]);
    return new RelocatableBlobStore(stores, plans, sha256Stream);
  };
  const put = (store: RelocatableBlobStore, id: string): Promise<number> =>
    store.put(id, Readable.from([Buffer.from(id)]));
  const migrate = (): Promise<{ failed: number; done: number }> =>
    new BlobMigration(other, plans, sha256Stream).run('new', () => undefined);

  it('is read by a process that has not heard of the move, while it is on and after it', async () => {
    await put(process, 'a');
    await migrate();
    expect(await text(await process.get('a'))).toBe('a');
    expect(await process.size('a')).toBe(1);
    expect(await former.size('a')).toBeUndefined();
  });

  it('keeps its blobs where a mover slept until the move had been turned round and had ended', async () => {
    await put(process, 'a');
    const verify = jest.spyOn(target, 'size').mockImplementationOnce(async () => {
      verify.mockRestore();
      await plans.end('former');
      return undefined;
    });
    await expect(migrate()).rejects.toMatchObject({ code: 'conflict' });
    expect(await text(await process.get('a'))).toBe('a');
  });

  it.each(['begun', 'ended'])(
    'takes a blob along whose put began before a move that has %s meanwhile',
    async (state) => {
      const late = process.put(
        'late',
        (async function* () {
          yield Buffer.from('la');
          if (state === 'begun') await begin();
          else await migrate();
          yield Buffer.from('te');
        })(),
      );
      expect(await late).toBe(4);
      expect(await former.size('late')).toBeUndefined();
      expect(await target.size('late')).toBe(4);
      expect(await text(await other.get('late'))).toBe('late');
    },
  );

  it('puts into the new place as soon as the document says so', async () => {
    await begin();
    await put(process, 'a');
    expect(await target.size('a')).toBe(1);
  });

  it('removes from both places', async () => {
    await put(process, 'a');
    await begin();
    await target.put('a', Readable.from([Buffer.from('a')]));
    await process.remove('a');
    expect([await former.size('a'), await target.size('a')]).toEqual([undefined, undefined]);
  });

  it('replaces a copy that is not what was copied, and loses nothing by it', async () => {
    await put(process, 'a');
    await target.put('a', Readable.from([Buffer.from('b')]));
    expect(await migrate()).toMatchObject({ failed: 0, done: 1 });
    expect(await text(await process.get('a'))).toBe('a');
  });

  it('goes on where a mover died in the middle of a copy', async () => {
    await put(process, 'a');
    const dead = target.put(
      'a',
      (async function* () {
        yield Buffer.from('a');
        await new Promise(() => undefined);
      })(),
    );
    dead.catch(() => undefined);
    expect(await migrate()).toMatchObject({ failed: 0, done: 1 });
    expect(await former.size('a')).toBeUndefined();
    expect(await text(await process.get('a'))).toBe('a');
  });

  it('moves each blob once by two movers at the same time', async () => {
    const ids = Array.from({ length: 30 }, (_, at) => `blob-${at}`);
    for (const id of ids) await put(process, id);
    await Promise.all([migrate(), migrate()]);
    for (const id of ids) expect(await text(await process.get(id))).toBe(id);
  });

  it('does not begin a move to a place of another installation', async () => {
    await put(process, 'a');
    await target.open('others');
    await expect(migrate()).rejects.toThrow('holds blobs of another installation');
    expect(await plans.current()).toEqual({ current: 'former', locations: expect.anything() });
    expect(await former.size('a')).toBe(1);
  });

  it('binds the place that a move goes to', async () => {
    await migrate();
    await expect(new FilesystemBlobStore(join(folder, 'new')).open('others')).rejects.toThrow(StartupError);
  });

  it('touches nothing in a process that takes a place of another installation for the new one', async () => {
    const theirs = new FilesystemBlobStore(join(folder, 'theirs'));
    await theirs.open('others');
    await theirs.put('b', Readable.from([Buffer.from('b')]));
    const stores = new Map([
      ['former', former],
      ['new', theirs],
    ]);
    const mistaken = new RelocatableBlobStore(stores, plans, sha256Stream);
    await mistaken.open('ours');
    await plans.begin('new', 'a location of ours');
    const listed = async (): Promise<void> => {
      for await (const _ of mistaken.list()) throw new Error('a blob of another installation was named');
    };
    await expect(listed()).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(mistaken.remove('b')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(mistaken.sweep(0)).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(put(mistaken, 'c')).rejects.toMatchObject({ code: 'store_unavailable' });
    expect([await theirs.size('b'), await theirs.size('c')]).toEqual([1, undefined]);
  });

  it('names and removes nothing before it is opened', async () => {
    await put(process, 'a');
    const early = homed();
    await expect(early.list()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(early.remove('a')).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await former.size('a')).toBe(1);
  });

  it('refuses where it is not set up for the place of the blobs, and never calls one missing', async () => {
    await put(process, 'a');
    await migrate();
    const short = new RelocatableBlobStore(new Map([['former', former]]), plans, sha256Stream);
    await expect(short.get('a')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(short.size('a')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(put(short, 'b')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(short.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(short.open('ours')).rejects.toThrow('Blobs of this installation lie in new');
  });

  describe('at a start', () => {
    const other = (): FilesystemBlobStore => new FilesystemBlobStore(join(folder, 'another'));
    const processOn = (store: FilesystemBlobStore): RelocatableBlobStore =>
      new RelocatableBlobStore(new Map([['former', store]]), plans, sha256Stream);

    it.each(['missing', 'empty'])('refuses a folder that is %s, and makes nothing in it', async (state) => {
      if (state === 'empty') await mkdir(join(folder, 'another'));
      await expect(processOn(other()).open('ours')).rejects.toThrow('run `npm run blobs -- adopt`');
      expect(await readdir(join(folder, 'another')).catch(() => [])).toEqual([]);
    });

    it('refuses a folder of its own that another replica made at its first start', async () => {
      const mistaken = processOn(other());
      await mistaken.claim('former', 'ours');
      await expect(mistaken.open('ours')).rejects.toThrow(StartupError);
      expect((await processOn(former).open('ours')).length).toBeGreaterThan(0);
    });

    it('takes a copy of the folder, marks included', async () => {
      await put(process, 'a');
      await cp(join(folder, 'former'), join(folder, 'another'), { recursive: true });
      const moved = processOn(other());
      await moved.open('ours');
      expect(await text(await moved.get('a'))).toBe('a');
    });

    it('records the folder of an installation that has none, where it has the mark of its owner', async () => {
      await plans.end('former');
      await expect(processOn(other()).open('ours')).rejects.toThrow(StartupError);
      const location = await processOn(former).open('ours');
      expect((await plans.current()).locations).toEqual({ former: location });
    });

    it('lets one of two folders be the one that is recorded, when both are opened at the same time', async () => {
      await plans.end('former');
      await other().open('ours');
      const starts = await Promise.allSettled([processOn(former).open('ours'), processOn(other()).open('ours')]);
      expect(starts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    });

    it('adopts a folder that lost its mark, and then no process takes another one', async () => {
      const adopting = processOn(other());
      expect(await adopting.adopt('ours')).toEqual(['former']);
      await processOn(other()).open('ours');
      await expect(processOn(former).open('ours')).rejects.toThrow(StartupError);
      // A process that serves on the former folder learns of it at its next write, and does not
      // write there any more.
      await expect(put(process, 'late')).rejects.toMatchObject({ code: 'store_unavailable' });
    });

    it('does not adopt the folder of another installation', async () => {
      await other().open('others');
      await expect(processOn(other()).adopt('ours')).rejects.toThrow('blobs of another installation');
    });
  });

  it('answers that it does not know, and never that a blob is missing, when its folder went away', async () => {
    await put(process, 'a');
    await rename(join(folder, 'former'), join(folder, 'unmounted'));
    await mkdir(join(folder, 'former'));
    const away = { code: 'store_unavailable' };
    await expect(process.get('a')).rejects.toMatchObject(away);
    await expect(process.size('a')).rejects.toMatchObject(away);
    await expect(put(process, 'b')).rejects.toMatchObject(away);
    await expect(process.ping()).rejects.toBeDefined();
    await expect(process.list()[Symbol.asyncIterator]().next()).rejects.toMatchObject(away);
    // A move that lists an empty mount point would take the installation for moved.
    await expect(migrate()).rejects.toMatchObject(away);
    expect(await plans.current()).toMatchObject({ current: 'former' });
  });

  it('does not move to another bucket than the one that a move has begun to', async () => {
    await begin();
    const elsewhere = new FilesystemBlobStore(join(folder, 'elsewhere'));
    const stores = new Map([
      ['former', former],
      ['new', elsewhere],
    ]);
    const mistaken = new RelocatableBlobStore(stores, plans, sha256Stream);
    await expect(mistaken.open('ours')).rejects.toThrow(StartupError);
    await expect(put(mistaken, 'a')).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('may move back to a place that was emptied after the move from it', async () => {
    await put(process, 'a');
    await migrate();
    await rm(join(folder, 'former'), { recursive: true });
    former = new FilesystemBlobStore(join(folder, 'former'));
    const back = homed();
    await back.open('ours');
    await new BlobMigration(back, plans, sha256Stream).run('former', () => undefined);
    expect(await text(await back.get('a'))).toBe('a');
  });
});
