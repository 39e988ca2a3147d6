import { randomBytes } from 'node:crypto';
import { GridFsBlobStore } from '../../src/blobs/gridfs';
import { MongoStore } from '../../src/store/mongo';
import { describeWithPart, type Secantus, startSecantus } from '../support/parts';
import { startEndlessPut } from '../support/endless-puts';
import { blobStoreContract } from './blob-store.contract';

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
    await store.open();
    return {
      store,
      liesWithDocuments: true,
      reopen: () => Promise.resolve(open()),
      startEndlessPut: (id) => startEndlessPut('gridfs', JSON.stringify({ url: server.url, dbName }), id),
      medium: server,
      close: async () => {
        await Promise.all(opened.map((each) => each.close()));
      },
    };
  });
});
