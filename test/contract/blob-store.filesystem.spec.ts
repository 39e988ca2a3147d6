import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FilesystemBlobStore } from '../../src/blobs/filesystem';
import { startEndlessPut } from '../support/endless-puts';
import { blobStoreContract } from './blob-store.contract';

blobStoreContract('the file system', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-blobs-'));
  const root = join(folder, 'blobs');
  return {
    store: new FilesystemBlobStore(root),
    reopen: () => Promise.resolve(new FilesystemBlobStore(root)),
    startEndlessPut: (id) => startEndlessPut('filesystem', root, id),
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
