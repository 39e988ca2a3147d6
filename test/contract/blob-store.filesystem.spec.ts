import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FilesystemBlobStore } from '../../src/blobs/filesystem';
import { startProcess, waitFor } from '../support/processes';
import { blobStoreContract } from './blob-store.contract';

blobStoreContract('the file system', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-blobs-'));
  const root = join(folder, 'blobs');
  return {
    store: new FilesystemBlobStore(root),
    reopen: () => Promise.resolve(new FilesystemBlobStore(root)),
    startEndlessPut: async (id) => {
      const support = join(__dirname, '../support');
      const args = ['--require', join(support, 'typescript-hook.cjs'), join(support, 'endless-put.ts'), root, id];
      const writer = startProcess(process.execPath, args);
      await waitFor('the put to be under way', () => {
        if (!writer.running()) throw new Error(writer.output());
        return writer.output().includes('writing');
      });
      return writer;
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
