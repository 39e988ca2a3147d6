import { randomBytes } from 'node:crypto';
import { GridFsBlobStore } from '../../src/blobs/gridfs';
import { MongoStore } from '../../src/store/mongo';
import { describeWithPart, type Secantus, startSecantus } from '../support/parts';
import { startEndlessPut } from '../support/endless-puts';
import { sampleBytes } from '../support/messages';
import { waitFor } from '../support/processes';
import { useRealDeadlines } from '../support/settings';
import { INSTALLATION, blobStoreContract } from './blob-store.contract';

useRealDeadlines();

const MIB = 1024 * 1024;
const CHUNKS = 5;
const CONTENT = sampleBytes(CHUNKS * MIB);

describeWithPart('secantus', 'on MongoDB', () => {
  let server: Secantus;
  beforeAll(async () => (server = await startSecantus()), 60_000);
  afterAll(() => server.stop());

  blobStoreContract('GridFS', async () => {
    const dbName = `blobs_${randomBytes(8).toString('hex')}`;
    const opened: MongoStore[] = [];
    const open = (): GridFsBlobStore => {
      const store = new MongoStore({ url: server.url, dbName });
      opened.push(store);
      return new GridFsBlobStore(store.connection);
    };
    const store = open();
    await store.open(INSTALLATION);
    return {
      store,
      reopen: () => Promise.resolve(open()),
      startEndlessPut: (id) => startEndlessPut('gridfs', JSON.stringify({ url: server.url, dbName }), id),
      medium: server,
      close: async () => {
        await Promise.all(opened.map((each) => each.close()));
      },
    };
  });

  describe('GridFS, for readers whose blob is removed meanwhile', () => {
    let stores: MongoStore[];
    let one: GridFsBlobStore;
    let other: GridFsBlobStore;

    // Of its own: the databases of the contract above slow a test server down, and on a slow disk
    // each checkpoint goes through all of them.
    let fresh: Secantus;
    beforeAll(async () => (fresh = await startSecantus()), 60_000);
    afterAll(() => fresh.stop());

    beforeEach(async () => {
      const options = { url: fresh.url, dbName: `read_${randomBytes(8).toString('hex')}` };
      stores = [new MongoStore(options), new MongoStore(options)];
      [one, other] = stores.map((store) => new GridFsBlobStore(store.connection)) as [GridFsBlobStore, GridFsBlobStore];
      await one.open(INSTALLATION);
      await one.put('read', pieces(CONTENT));
    }, 120_000);
    afterEach(() => Promise.all(stores.map((store) => store.close())));

    const count = (name: string): Promise<number> =>
      stores[0]!.connection.run(() => stores[0]!.connection.documents(name).countDocuments({}), name);
    const isClear = async (): Promise<boolean> => (await count('blobs.chunks')) + (await count('blobs.readers')) === 0;

    /** A stream of which a first chunk has been read. */
    async function begun(store: GridFsBlobStore) {
      const stream = await store.get('read');
      const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      const first = (await chunks.next()).value as Buffer;
      const rest = async (): Promise<Buffer> => {
        const read = [first];
        for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) read.push(next.value);
        return Buffer.concat(read);
      };
      return { stream, rest };
    }

    it('lets them finish, though it is gone for all others at once, and goes with the last of them', async () => {
      const [slow, slower] = [await begun(one), await begun(other)];
      await other.remove('read');
      await expect(one.get('read')).rejects.toMatchObject({ code: 'not_found' });
      expect(await one.size('read')).toBeUndefined();
      expect((await slow.rest()).equals(CONTENT)).toBe(true);
      await waitFor('the end of a lease', async () => (await count('blobs.readers')) === 1);
      expect(await count('blobs.chunks')).toBe(CHUNKS);
      expect((await slower.rest()).equals(CONTENT)).toBe(true);
      await waitFor('the chunks to go', isClear);
    });

    it('goes with a reader that stops in the middle, or before its first byte', async () => {
      const [stopped, unread] = [await begun(one), await other.get('read')];
      await one.remove('read');
      stopped.stream.destroy();
      unread.destroy();
      await waitFor('the chunks to go', isClear);
    });

    it('goes at once where its reader died, and is left to one that lives by a sweep', async () => {
      const reader = await begun(one);
      await other.remove('read');
      await other.sweep(-MIB);
      expect(await count('blobs.chunks')).toBe(CHUNKS);
      const { connection } = stores[0]!;
      await connection.run(
        () => connection.documents('blobs.readers').updateMany({}, { $set: { until: new Date(0) } }),
        'blobs.readers',
      );
      await other.remove('read');
      expect(await count('blobs.chunks')).toBe(0);
      await expect(reader.rest()).rejects.toMatchObject({ code: 'not_found' });
    });

    it('stays for all where only readers have gone', async () => {
      expect((await (await begun(one)).rest()).equals(CONTENT)).toBe(true);
      await waitFor('the end of the lease', async () => (await count('blobs.readers')) === 0);
      expect((await (await begun(other)).rest()).equals(CONTENT)).toBe(true);
    });

    it('takes no lease for what is read at once', async () => {
      const stream = await one.get('read', { start: MIB - 1, end: 2 * MIB - 1 });
      expect(await count('blobs.readers')).toBe(0);
      for await (const _ of stream);
    });

    it('takes one for a short range that touches three chunks', async () => {
      const stream = await one.get('read', { start: MIB - 1, end: 2 * MIB });
      expect(await count('blobs.readers')).toBe(1);
      for await (const _ of stream);
    });
  });
});

// eslint-disable-next-line @typescript-eslint/require-await -- a put takes what comes asynchronously
async function* pieces(content: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += MIB) yield content.subarray(at, at + MIB);
}
