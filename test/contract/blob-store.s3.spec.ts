import { randomBytes } from 'node:crypto';
import { S3BlobStore } from '../../src/blobs/s3';
import { startEndlessPut } from '../support/endless-puts';
import { describeWithExtra, describeWithPart, startS3, startVersitygw, type S3Server } from '../support/parts';
import { INSTALLATION, blobStoreContract } from './blob-store.contract';

/** One server for the suite, a bucket for each test. */
function contractOn(name: string, start: () => Promise<S3Server>): void {
  let server: S3Server;
  beforeAll(async () => (server = await start()), 60_000);
  afterAll(() => server.stop());

  blobStoreContract(name, async () => {
    const address = server.address(`b${randomBytes(8).toString('hex')}`);
    const store = new S3BlobStore(address, { createBucket: true });
    await store.open(INSTALLATION);
    return {
      store,
      reopen: () => Promise.resolve(new S3BlobStore(address, { createBucket: false })),
      startEndlessPut: (id) => startEndlessPut('s3', JSON.stringify(address), id),
      medium: server,
      close: () => Promise.resolve(),
    };
  });
}

describeWithPart('moto', 'on moto', () => contractOn('S3', startS3));
describeWithExtra('versitygw', 'on versitygw', () => contractOn('S3 over a folder', () => startVersitygw()));
