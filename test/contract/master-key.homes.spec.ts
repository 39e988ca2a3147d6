import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RoutedMasterKey } from '../../src/keys/master-key';
import { LocalMasterKey } from '../../src/keys/master-key/local';
import { MemoryWrapStore } from '../support/memory-wrap-store';
import { masterKeyContract } from './master-key.contract';

masterKeyContract('several homes, of which one holds the key', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-homes-'));
  return {
    open: async () => {
      const homes = new RoutedMasterKey([
        new LocalMasterKey(folder, 'a root key of thirty-two characters'),
        new MemoryWrapStore(),
      ]);
      homes.follow(['local'], () => Promise.resolve({ homes: [{ home: 'local', since: 1 }] }));
      await homes.open();
      return homes;
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
