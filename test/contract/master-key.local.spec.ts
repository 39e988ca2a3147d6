import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalMasterKey } from '../../src/keys/master-key/local';
import { masterKeyContract } from './master-key.contract';

masterKeyContract('the local keyring', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-keyring-'));
  return {
    open: async () => {
      const home = new LocalMasterKey(folder, 'a root key of thirty-two characters');
      await home.open();
      return home;
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
