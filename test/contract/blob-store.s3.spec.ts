import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { S3BlobStore } from '../../src/blobs/s3';
import { startEndlessPut } from '../support/endless-puts';
import { throughOutages } from '../support/outages';
import { describeWithExtra, describeWithPart, startS3, startVersitygw, type S3Server } from '../support/parts';
import { useRealDeadlines } from '../support/settings';
import { INSTALLATION, blobStoreContract } from './blob-store.contract';

useRealDeadlines();

const MIB = 1024 * 1024;
const SPARE = { patience: 60_000, spare: 5 * MIB };
/** As PART_PLAN grows, in small. */
const GROWING = [
  { parts: 2, bytes: 5 * MIB, buffers: 2, ...SPARE },
  { parts: 1, bytes: 6 * MIB, buffers: 2, ...SPARE },
  { parts: 2, bytes: 7 * MIB, buffers: 2, ...SPARE },
];

/** One server for the suite, a bucket for each test. */
function contractOn(name: string, start: () => Promise<S3Server>): void {
  let server: S3Server;
  beforeAll(async () => (server = await start()), 60_000);
  afterAll(() => server.stop());

  blobStoreContract(name, async () => {
    const address = server.address(`b${randomBytes(8).toString('hex')}`);
    const store = new S3BlobStore(address, { createBucket: true });
    await throughOutages(() => store.open(INSTALLATION));
    return {
      store,
      reopen: () => Promise.resolve(new S3BlobStore(address, { createBucket: false })),
      startEndlessPut: (id) => startEndlessPut('s3', JSON.stringify(address), id),
      medium: server,
      close: () => Promise.resolve(),
    };
  });

  describe('parts that grow', () => {
    let store: S3BlobStore;
    let plain: S3BlobStore;

    beforeAll(async () => {
      const address = server.address(`b${randomBytes(8).toString('hex')}`);
      store = new S3BlobStore(address, { createBucket: true, parts: GROWING });
      plain = new S3BlobStore(address, { createBucket: false });
      await throughOutages(() => store.open(INSTALLATION));
    });

    // Ends of parts: 5, 10, 16, 23 and 30 MiB.
    it.each([10 * MIB, 10 * MIB + 1, 16 * MIB, 20 * MIB, 30 * MIB])('make a blob of %d bytes', async (size) => {
      const [id, bytes] = [`grown-${size}`, randomBytes(size)];
      expect(await store.put(id, Readable.from([bytes]))).toBe(size);
      expect((await buffer(await store.get(id))).equals(bytes)).toBe(true);
    });

    it('are not seen by who reads from any byte on', async () => {
      const bytes = randomBytes(26 * MIB);
      await store.put('ranges', Readable.from([bytes]));
      for (const edge of [5 * MIB, 10 * MIB, 16 * MIB, 23 * MIB]) {
        for (const [start, end] of [
          [edge - 1, edge - 1],
          [edge, edge],
          [edge - 70_000, edge + 70_000],
          [edge + 1, bytes.length - 1],
        ] as const) {
          const read = await buffer(await plain.get('ranges', { start, end }));
          expect(read.equals(bytes.subarray(start, end + 1))).toBe(true);
        }
      }
    });

    it('refuse a blob with more bytes than all of them as too large, and leave nothing of it', async () => {
      const put = store.put('beyond', Readable.from([randomBytes(30 * MIB), randomBytes(1)]));
      await expect(put).rejects.toMatchObject({ code: 'too_large' });
      expect(await store.size('beyond')).toBeUndefined();
    });
  });
}

describeWithPart('moto', 'on moto', () => contractOn('S3', startS3));
describeWithExtra('versitygw', 'on versitygw', () => contractOn('S3 over a folder', () => startVersitygw()));
