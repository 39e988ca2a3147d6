import { TransitMasterKey } from '../../src/keys/master/transit';
import type { TransitConfig } from '../../src/keys/master/transit';
import type { Bao } from './parts';

export function transitConfig(bao: Bao, changes: Partial<TransitConfig> = {}): TransitConfig {
  return {
    home: 'transit',
    address: bao.address,
    login: { roleId: bao.roleId, secretId: bao.secretId },
    namespace: undefined,
    caCert: undefined,
    transitMount: 'transit',
    keyName: 'coffer-master',
    ...changes,
  };
}

/** Transit as one process of the service sees it, under the shipped policy. */
export async function openTransit(bao: Bao, changes: Partial<TransitConfig> = {}): Promise<TransitMasterKey> {
  const home = new TransitMasterKey(transitConfig(bao, changes));
  await home.open();
  return home;
}
