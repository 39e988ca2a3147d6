import { Logger } from '@nestjs/common';
import type { MasterKey } from '../../src/keys/master-key';
import { beginRelocation, WRAPS } from '../../src/installation';
import type { Store } from '../../src/store';
import { openRoutedWrapStore, openWrapStore } from '../support/kv';
import { describeWithPart, startOpenBao } from '../support/parts';
import { useRealDeadlines } from '../support/settings';
import { userKeyHomeContract } from './wrap-store.contract';

useRealDeadlines();

beforeAll(() => {
  Logger.overrideLogger(false);
});

/**
 * A move that has begun and that nobody does: new owners go to the new place, and the other one is
 * asked too.
 */
for (const place of ['store', 'vault'] as const) {
  describeWithPart('openbao', `An installation whose user keys move from ${place}`, () => {
    userKeyHomeContract('in the store and in documents of Vault', async () => {
      const bao = await startOpenBao();
      const open = async (store: Store, masterKey: MasterKey) => {
        const homes = await openRoutedWrapStore(store, masterKey, await openWrapStore(bao), place);
        await beginRelocation(store, WRAPS, place === 'store' ? 'vault' : 'store');
        return homes;
      };
      return { open: () => Promise.resolve(open), close: () => bao.stop() };
    });
  });
}
