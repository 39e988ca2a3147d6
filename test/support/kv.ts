import { type KvConfig, KvMasterKey } from '../../src/keys/master/kv';
import { openVault, type VaultSession } from '../../src/keys/master/vault';
import { VaultUserKeyHome } from '../../src/keys/user/in-vault';
import type { Bao } from './parts';

export function kvConfig(bao: Bao, changes: Partial<KvConfig> = {}): KvConfig {
  return {
    home: 'kv',
    address: bao.address,
    login: { roleId: bao.roleId, secretId: bao.secretId },
    namespace: undefined,
    caCert: undefined,
    kvMount: 'kv',
    ...changes,
  };
}

export interface KvParts extends Partial<KvConfig> {
  readonly maxAgeMs?: number;
  readonly session?: VaultSession;
}

/** The KV home as one process of the service sees it, under the shipped policy. */
export async function openKv(
  bao: Bao,
  { maxAgeMs = 300_000, session, ...changes }: KvParts = {},
): Promise<KvMasterKey> {
  const home = new KvMasterKey(kvConfig(bao, changes), { maxAgeMs }, session);
  await home.open();
  return home;
}

/** Where user keys lie in Vault, as one process of the service sees it, under the shipped policy. */
export async function openUserKeyHome(bao: Bao): Promise<VaultUserKeyHome> {
  const home = new VaultUserKeyHome(openVault(kvConfig(bao)), 'kv');
  await home.open();
  return home;
}
