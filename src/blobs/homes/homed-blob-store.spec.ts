import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { sha256Stream } from '../../crypto';
import { StartRefused } from '../../kernel';
import { FilesystemBlobStore } from '../filesystem';
import { BlobMigration } from './blob-migration';
import { BlobPlan, BlobPlans } from './blob-plan';
import { HomedBlobStore } from './homed-blob-store';

/** The document of an installation, which all its processes read. */
class SharedPlans extends BlobPlans {
  #plan: BlobPlan = { home: 'former', to: undefined };

  current(): Promise<BlobPlan> {
    return Promise.resolve(this.#plan);
  }
  begin(to: string): Promise<BlobPlan> {
    this.#plan = { ...this.#plan, to };
    return this.current();
  }
  end(to: string): Promise<BlobPlan> {
    this.#plan = { home: to, to: undefined };
    return this.current();
  }
}

describe('the blob store of an installation whose blobs are moved', () => {
  let folder: string;
  let plans: SharedPlans;
  let former: FilesystemBlobStore;
  let target: FilesystemBlobStore;
  let process: HomedBlobStore;
  let other: HomedBlobStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-homes-'));
    plans = new SharedPlans();
    former = new FilesystemBlobStore(join(folder, 'former'));
    target = new FilesystemBlobStore(join(folder, 'new'));
    [process, other] = [homed(), homed()];
    await process.open('ours');
    await other.open('ours');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const homed = (): HomedBlobStore => {
    const stores = new Map([
      ['former', former],
      ['new', target],
    ]);
    return new HomedBlobStore(stores, plans, sha256Stream);
  };
  const put = (store: HomedBlobStore, id: string): Promise<number> => store.put(id, Readable.from([Buffer.from(id)]));
  const migrate = (): Promise<{ failed: number; done: number }> =>
    new BlobMigration(other, plans, sha256Stream).run('new', () => undefined);

  it('is read by a process that has not heard of the move, while it is on and after it', async () => {
    await put(process, 'a');
    await migrate();
    expect(await text(await process.get('a'))).toBe('a');
    expect(await process.size('a')).toBe(1);
    expect(await former.size('a')).toBeUndefined();
  });

  it.each(['begun', 'ended'])(
    'takes a blob along whose put began before a move that has %s meanwhile',
    async (state) => {
      const late = process.put(
        'late',
        (async function* () {
          yield Buffer.from('la');
          if (state === 'begun') await plans.begin('new');
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
    await plans.begin('new');
    await put(process, 'a');
    expect(await target.size('a')).toBe(1);
  });

  it('removes from both places', async () => {
    await put(process, 'a');
    await plans.begin('new');
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
    expect(await plans.current()).toEqual({ home: 'former', to: undefined });
    expect(await former.size('a')).toBe(1);
  });

  it('binds the place that a move goes to', async () => {
    await migrate();
    await expect(new FilesystemBlobStore(join(folder, 'new')).open('others')).rejects.toThrow(StartRefused);
  });

  it('touches nothing in a process that takes a place of another installation for the new one', async () => {
    const theirs = new FilesystemBlobStore(join(folder, 'theirs'));
    await theirs.open('others');
    await theirs.put('b', Readable.from([Buffer.from('b')]));
    const stores = new Map([
      ['former', former],
      ['new', theirs],
    ]);
    const mistaken = new HomedBlobStore(stores, plans, sha256Stream);
    await mistaken.open('ours');
    await plans.begin('new');
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
    const short = new HomedBlobStore(new Map([['former', former]]), plans, sha256Stream);
    await expect(short.get('a')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(short.size('a')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(put(short, 'b')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(short.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(short.open('ours')).rejects.toThrow('Blobs of this installation lie in new');
  });
});
