import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BlobStore, ByteRange } from '../../src/blobs';
import { RelocatableBlobStore } from '../../src/blobs/relocation';
import { StartupError } from '../../src/kernel';
import { waitFor } from '../support/processes';

export interface BlobStoreFixture {
  readonly store: BlobStore;
  /** The same medium through a new adapter, not opened yet, as after a restart. */
  reopen(): Promise<BlobStore>;
  /**
   * Starts `put(id)` of an endless blob in a process of its own; resolves when some MiB have gone
   * in.
   */
  startEndlessPut(id: string): Promise<{ kill(): Promise<void> }>;
  /** Stops the medium's answers and lets them go on; absent where the medium is this machine. */
  readonly medium?: { pause(): void; resume(): void };
  close(): Promise<void>;
}

/** Who opens the store, where it is opened. */
export const INSTALLATION = '0197a0b0-0000-7000-8000-000000000001';
const ANOTHER = '0197a0b0-0000-7000-8000-000000000002';

const MIB = 1024 * 1024;
/** A part of S3, where everything may go wrong by one byte. */
const PART = 5 * MIB;
/** What a page of a listing holds, and some. */
const MORE_THAN_A_PAGE = 1_050;

const newBlobId = (): string => randomBytes(16).toString('hex');

async function* chunksOf(bytes: Buffer, size = 100_000): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

async function* failingAfter(bytes: number, error: Error): AsyncIterable<Uint8Array> {
  yield* chunksOf(randomBytes(bytes));
  throw error;
}

/** What each blob store must do, whatever its medium. */
export function blobStoreContract(name: string, open: () => Promise<BlobStoreFixture>): void {
  describe(`the blob store contract on ${name}`, () => {
    let fixture: BlobStoreFixture;
    let store: BlobStore;

    beforeEach(async () => {
      fixture = await open();
      store = fixture.store;
    });
    afterEach(() => fixture.close());

    const stored = async (bytes: Buffer, id = newBlobId()): Promise<string> => {
      await store.put(id, chunksOf(bytes));
      return id;
    };
    const read = async (id: string, range?: ByteRange): Promise<Buffer> => buffer(await store.get(id, range));
    const all = async (from = store): Promise<string[]> => {
      const ids: string[] = [];
      for await (const id of from.list()) ids.push(id);
      return ids;
    };
    const expectNothing = async (id: string): Promise<void> => {
      expect(await store.size(id)).toBeUndefined();
      await expect(store.get(id)).rejects.toMatchObject({ code: 'not_found' });
      expect(await all()).not.toContain(id);
    };

    it.each([1, 65_536, 256 * 1024 + 1, MIB - 1, MIB, MIB + 1, PART - 1, PART, PART + 1, 12 * MIB, 3 * PART])(
      'gives back a blob of %d bytes as it was put',
      async (size) => {
        const bytes = randomBytes(size);
        const id = newBlobId();
        expect(await store.put(id, chunksOf(bytes))).toBe(size);
        expect(await store.size(id)).toBe(size);
        expect((await read(id)).equals(bytes)).toBe(true);
      },
    );

    it('keeps a blob without a byte', async () => {
      const id = await stored(Buffer.alloc(0));
      expect(await store.size(id)).toBe(0);
      expect(await read(id)).toHaveLength(0);
    });

    it('takes chunks of any size, empty ones too', async () => {
      const id = newBlobId();
      await store.put(id, Readable.from([Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(0), Buffer.from('bc')]));
      expect((await read(id)).toString()).toBe('abc');
    });

    it('still has a blob after it was opened anew', async () => {
      const id = await stored(Buffer.from('kept'));
      const again = await fixture.reopen();
      await again.open(INSTALLATION);
      expect((await buffer(await again.get(id))).toString()).toBe('kept');
    });

    it.each<[string, ByteRange]>([
      ['the first byte', { start: 0, end: 0 }],
      ['the last byte', { start: 2_999_999, end: 2_999_999 }],
      ['a part in the middle', { start: 1_048_570, end: 1_048_600 }],
      ['all of it', { start: 0, end: 2_999_999 }],
    ])('serves the range of %s', async (_, range) => {
      const bytes = randomBytes(3_000_000);
      const id = await stored(bytes);
      expect((await read(id, range)).equals(bytes.subarray(range.start, range.end + 1))).toBe(true);
    });

    it.each<[string, ByteRange]>([
      ['before a part ends', { start: PART - 1, end: PART - 1 }],
      ['across two parts', { start: PART - 10, end: PART + 10 }],
      ['across all of them', { start: 1, end: 2 * PART + 1 }],
    ])('serves a range %s', async (_, range) => {
      const bytes = randomBytes(2 * PART + 3);
      const id = await stored(bytes);
      expect((await read(id, range)).equals(bytes.subarray(range.start, range.end + 1))).toBe(true);
    });

    it('may be read by several at once and stopped early by one', async () => {
      const bytes = randomBytes(3_000_000);
      const id = await stored(bytes);
      const stopped = await store.get(id);
      stopped.destroy();
      const [one, two] = await Promise.all([read(id), read(id)]);
      expect(one.equals(bytes) && two.equals(bytes)).toBe(true);
    });

    it('passes on the error of a source that fails and leaves nothing', async () => {
      const id = newBlobId();
      const fault = new Error('the source broke');
      await expect(store.put(id, failingAfter(2_500_000, fault))).rejects.toBe(fault);
      await expectNothing(id);
    });

    it('leaves nothing of a source that fails after several parts', async () => {
      const id = newBlobId();
      const fault = new Error('the source broke');
      await expect(store.put(id, failingAfter(12 * MIB, fault))).rejects.toBe(fault);
      await expectNothing(id);
      await stored(Buffer.from('second try'), id);
    });

    it('lets readers be destroyed in the middle, as many as come', async () => {
      const bytes = randomBytes(12 * MIB);
      const id = await stored(bytes);
      for (let round = 0; round < 60; round += 1) {
        const reader = await store.get(id);
        if (round % 2 === 0) await reader[Symbol.asyncIterator]().next();
        reader.destroy();
      }
      expect((await read(id)).equals(bytes)).toBe(true);
    }, 60_000);

    it('takes a blob under the id of one whose source failed', async () => {
      const id = newBlobId();
      await expect(store.put(id, failingAfter(10, new Error('broke')))).rejects.toThrow('broke');
      await stored(Buffer.from('second try'), id);
      expect((await read(id)).toString()).toBe('second try');
    });

    it('shows nothing of a blob before it is whole', async () => {
      const id = newBlobId();
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      let reached = (): void => undefined;
      const halfway = new Promise<void>((resolve) => (reached = resolve));
      const put = store.put(
        id,
        (async function* () {
          yield randomBytes(2_000_000);
          reached();
          await held;
          yield randomBytes(10);
        })(),
      );
      await halfway;
      await expectNothing(id);
      release();
      expect(await put).toBe(2_000_010);
      expect(await all()).toContain(id);
    });

    it('refuses a second put under an id and keeps the first blob', async () => {
      const id = await stored(Buffer.from('first'));
      await expect(store.put(id, chunksOf(Buffer.from('second')))).rejects.toBeInstanceOf(Error);
      expect((await read(id)).toString()).toBe('first');
    });

    it('lets one of two puts at once win', async () => {
      const id = newBlobId();
      const puts = [randomBytes(300_000), randomBytes(300_000)].map((bytes) => store.put(id, chunksOf(bytes)));
      const outcomes = await Promise.allSettled(puts);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await read(id)).toHaveLength(300_000);
    });

    it('lets one of four puts at once win, of several parts each', async () => {
      const id = newBlobId();
      const contents = Array.from({ length: 4 }, () => randomBytes(6 * MIB));
      const outcomes = await Promise.allSettled(contents.map((bytes) => store.put(id, chunksOf(bytes))));
      const won = outcomes.findIndex(({ status }) => status === 'fulfilled');
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect((await read(id)).equals(contents[won]!)).toBe(true);
    });

    it('never removes a blob by a discard, and ends with it a put that is under way', async () => {
      const id = await stored(Buffer.from('kept'));
      await store.discard(id);
      expect((await read(id)).toString()).toBe('kept');
      const other = newBlobId();
      const put = store.put(
        other,
        (async function* () {
          yield randomBytes(6 * MIB);
          await store.discard(other);
          yield randomBytes(6 * MIB);
        })(),
      );
      await expect(put).rejects.toMatchObject({ code: 'conflict' });
      await expectNothing(other);
    });

    it('keeps blobs, and puts that are under way, in a sweep of what dead puts left', async () => {
      const [kept, id] = [await stored(Buffer.from('kept')), newBlobId()];
      const put = store.put(
        id,
        (async function* () {
          yield randomBytes(6 * MIB);
          await store.sweep(24 * 3_600_000);
          yield randomBytes(6 * MIB);
        })(),
      );
      expect(await put).toBe(12 * MIB);
      expect((await read(kept)).toString()).toBe('kept');
    });

    it('removes a blob, and does nothing where there is none', async () => {
      const id = await stored(Buffer.from('gone'));
      await store.remove(id);
      await expectNothing(id);
      await expect(store.remove(id)).resolves.toBeUndefined();
    });

    it('does not know an id that was never put', async () => {
      await expectNothing(newBlobId());
    });

    it('lists each blob once, and nothing else', async () => {
      const ids: string[] = [];
      for (let made = 0; made < 20; made += 1) ids.push(await stored(Buffer.from([made])));
      expect((await all()).sort()).toEqual(ids.sort());
    });

    it('refuses to open for another installation than its own, and lists nothing but blobs', async () => {
      await store.open(INSTALLATION);
      const id = await stored(Buffer.from('ours'));
      await expect((await fixture.reopen()).open(ANOTHER)).rejects.toThrow(StartupError);
      await expect((await fixture.reopen()).open(ANOTHER)).rejects.toThrow('holds blobs of another installation');
      await expect((await fixture.reopen()).open(INSTALLATION)).resolves.toEqual(expect.any(String));
      expect(await all()).toEqual([id]);
    });

    it('is the same medium at each start, and refuses one that does not show what the installation recorded', async () => {
      const location = await store.open(INSTALLATION);
      expect(await store.open(INSTALLATION, 'owned')).toBe(location);
      if (fixture.store instanceof RelocatableBlobStore) return;
      const again = await fixture.reopen();
      expect(await again.open(INSTALLATION, { location })).toBe(location);
      const other = again.open(INSTALLATION, { location: 'of another folder' });
      await expect(other).rejects.toThrow('is not where the blobs of this installation lie');
      await expect(other).rejects.toThrow(StartupError);
    });

    it('lists blobs that are older than asked for, and those alone', async () => {
      const id = await stored(Buffer.from('x'));
      const olderThan = async (olderThanMs: number): Promise<string[]> => {
        const ids: string[] = [];
        for await (const found of store.list({ olderThanMs })) ids.push(found);
        return ids;
      };
      expect(await olderThan(3_600_000)).toEqual([]);
      // Times of S3 are whole seconds.
      await waitFor('the blob to be a moment old', async () => (await olderThan(1)).length === 1);
      expect(await olderThan(1)).toEqual([id]);
    });

    it('lists more than a page', async () => {
      const ids = Array.from({ length: MORE_THAN_A_PAGE }, newBlobId);
      for (let at = 0; at < ids.length; at += 25) {
        await Promise.all(ids.slice(at, at + 25).map((id) => stored(Buffer.from('x'), id)));
      }
      expect((await all()).sort()).toEqual(ids.sort());
    }, 120_000);

    it.each([
      '',
      '.',
      '..',
      '../escape',
      'a/b',
      '/etc/passwd',
      'a\\b',
      'A',
      'a.b',
      'a\0b',
      'a b',
      'é',
      'x'.repeat(65),
      '%2e%2e',
    ])('refuses %j as an id in each method', async (id) => {
      await expect(store.put(id, chunksOf(Buffer.from('x')))).rejects.toBeInstanceOf(TypeError);
      await expect(store.get(id)).rejects.toBeInstanceOf(TypeError);
      await expect(store.size(id)).rejects.toBeInstanceOf(TypeError);
      await expect(store.remove(id)).rejects.toBeInstanceOf(TypeError);
    });

    it.each(['a', '-', '--', 'x'.repeat(64), '0-0'])('takes %j as an id', async (id) => {
      await stored(Buffer.from('x'), id);
      expect(await all()).toEqual([id]);
    });

    it('shows nothing of a put whose process was killed, and removes what it left', async () => {
      const id = newBlobId();
      const writer = await fixture.startEndlessPut(id);
      await writer.kill();
      await expectNothing(id);
      await store.remove(id);
      await stored(Buffer.from('after the kill'), id);
      expect((await read(id)).toString()).toBe('after the kill');
    });

    it('ends a put whose id is removed while it is under way, and leaves nothing', async () => {
      const id = newBlobId();
      const put = store.put(
        id,
        (async function* () {
          yield randomBytes(2_000_000);
          await store.remove(id);
          yield randomBytes(10);
        })(),
      );
      await expect(put).rejects.toMatchObject({ code: 'conflict' });
      await expectNothing(id);
    });

    it('answers store_unavailable while its medium does not answer, and goes on afterwards', async () => {
      if (fixture.medium === undefined) return;
      const id = await stored(Buffer.from('kept'));
      fixture.medium.pause();
      try {
        const away = { code: 'store_unavailable' };
        await expect(store.put(newBlobId(), chunksOf(randomBytes(6 * MIB)))).rejects.toMatchObject(away);
        await expect(store.get(id)).rejects.toMatchObject(away);
        await expect(store.size(id)).rejects.toMatchObject(away);
        await expect(store.remove(id)).rejects.toMatchObject(away);
        await expect(store.ping()).rejects.toMatchObject(away);
      } finally {
        fixture.medium.resume();
      }
      await waitFor('the store to answer again', () =>
        store.ping().then(
          () => true,
          () => false,
        ),
      );
      expect((await read(id)).toString()).toBe('kept');
      await stored(randomBytes(6 * MIB));
    }, 30_000);

    it('fails a put whose medium goes away in the middle, and takes the blob afterwards', async () => {
      const { medium } = fixture;
      if (medium === undefined) return;
      const id = newBlobId();
      const put = store.put(
        id,
        (async function* () {
          yield randomBytes(12 * MIB);
          medium.pause();
          yield* chunksOf(randomBytes(12 * MIB));
        })(),
      );
      await expect(put)
        .rejects.toMatchObject({ code: 'store_unavailable' })
        .finally(() => medium.resume());
      await waitFor('the store to answer again', () =>
        store.ping().then(
          () => true,
          () => false,
        ),
      );
      await store.remove(id);
      await stored(randomBytes(100), id);
      expect(await store.size(id)).toBe(100);
    }, 30_000);

    it('answers a ping', async () => {
      await expect(store.ping()).resolves.toBeUndefined();
    });
  });
}
