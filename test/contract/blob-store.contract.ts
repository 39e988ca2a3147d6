import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BlobStore, ByteRange } from '../../src/blobs';

export interface BlobStoreFixture {
  readonly store: BlobStore;
  /** The same medium through a new adapter, as after a restart. */
  reopen(): Promise<BlobStore>;
  /** Starts `put(id)` of an endless blob in a process of its own; resolves when some MiB have gone in. */
  startEndlessPut(id: string): Promise<{ kill(): Promise<void> }>;
  close(): Promise<void>;
}

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

    it.each([1, 65_536, 1_048_576, 5_000_001])('gives back a blob of %d bytes as it was put', async (size) => {
      const bytes = randomBytes(size);
      const id = newBlobId();
      expect(await store.put(id, chunksOf(bytes))).toBe(size);
      expect(await store.size(id)).toBe(size);
      expect((await read(id)).equals(bytes)).toBe(true);
    });

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

    it('answers a ping', async () => {
      await expect(store.ping()).resolves.toBeUndefined();
    });
  });
}
