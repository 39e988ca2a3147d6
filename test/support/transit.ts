import { isDomainError, SecretBytes, type WrappedKey } from '../../src/kernel';
import { type MasterKey, wrapContext } from '../../src/keys/master-key';
import { type TransitConfig, TransitMasterKey } from '../../src/keys/master-key/transit';
import type { Bao } from './parts';
import { waitFor } from './processes';

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

export const context = wrapContext('user-key', 'alice', 1);
export const newKey = (): SecretBytes => new SecretBytes(Buffer.alloc(32, 5));
/** What an outage of the home looks like to its callers. */
export const unavailable = { code: 'kms_unavailable' };

export async function wrapOne(master: MasterKey): Promise<WrappedKey> {
  const [wrapped] = await master.wrap(1, [{ key: newKey(), context }]);
  return wrapped!;
}

/** Waited for: a circuit that is open is closed by a probe, some moments after Vault is back. */
export async function servesAgain(use: () => Promise<readonly { readonly ok: boolean }[]>): Promise<void> {
  await waitFor('Vault to serve again', async () => {
    try {
      return (await use()).every(({ ok }) => ok);
    } catch (error) {
      if (isDomainError(error, 'kms_unavailable')) return false;
      throw error;
    }
  });
}
