import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FilesystemBlobStore } from '../../src/blobs/filesystem';
import { BlobRelocation, BlobRelocations, RelocatableBlobStore } from '../../src/blobs/relocation';
import { sha256Stream } from '../../src/crypto';
import { startEndlessPut } from '../support/endless-puts';
import { INSTALLATION, blobStoreContract } from './blob-store.contract';

class MovingPlans extends BlobRelocations {
  readonly #locations: Record<string, string> = {};

  current = (): Promise<BlobRelocation> =>
    Promise.resolve({ current: 'former', target: 'new', locations: this.#locations });
  begin = (): Promise<BlobRelocation> => this.current();
  end = (): Promise<BlobRelocation> => this.current();
  record = (name: string, location: string): Promise<BlobRelocation> => {
    this.#locations[name] ??= location;
    return this.current();
  };
  adopt = this.record;
}

blobStoreContract('two folders between which blobs are moved', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-blobs-'));
  const open = (): RelocatableBlobStore => {
    const stores = ['former', 'new'].map((name) => [name, new FilesystemBlobStore(join(folder, name))] as const);
    return new RelocatableBlobStore(new Map(stores), new MovingPlans(), sha256Stream);
  };
  const store = open();
  for (const name of ['former', 'new']) await store.claim(name, INSTALLATION);
  await store.open(INSTALLATION);
  return {
    store,
    reopen: () => Promise.resolve(open()),
    startEndlessPut: (id) => startEndlessPut('filesystem', join(folder, 'new'), id),
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
