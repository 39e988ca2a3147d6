import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MasterKey } from '../../src/keys/master-key';
import { type KvConfig, KvMasterKey } from '../../src/keys/master-key/kv';
import { openVault, type VaultSession } from '../../src/vault-client';
import { VaultWrapStore } from '../../src/keys/user-keys/wrap-store/in-vault';
import { SystemClock } from '../../src/kernel';
import { type OwnerNames, RoutedWrapStore } from '../../src/keys/user-keys/wrap-store';
import { completeInstallation, createInstallation, type WrapLocation } from '../../src/installation';
import type { Store } from '../../src/store';
import type { Bao } from './parts';
import { projectRoot } from './root';

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

/** A token of the shipped operator's policy, which the service never has. */
export async function operatorToken(bao: Bao): Promise<string> {
  const policy = readFileSync(join(projectRoot(), 'deploy/vault/operator-policy.hcl'), 'utf8');
  await bao.request('POST', 'sys/policies/acl/coffer-operator', { policy });
  const made = await bao.request<Issued>('POST', 'auth/token/create', { policies: ['coffer-operator'] });
  return made.auth.client_token;
}

/** A token as the service has it: what a thief may hold. */
export async function serviceToken(bao: Bao): Promise<string> {
  const login = { role_id: bao.roleId, secret_id: bao.secretId };
  return (await bao.request<Issued>('POST', 'auth/approle/login', login)).auth.client_token;
}

interface Issued {
  readonly auth: { readonly client_token: string };
}

/** Of all installations of tests that share a server. */
export const INSTALLATION_ID = '0199a0b4-0000-7000-8000-000000000000';

/**
 * Where user keys lie in Vault, as one process of the service sees it, under the shipped policy.
 */
export async function openWrapStore(bao: Bao): Promise<VaultWrapStore> {
  const home = new VaultWrapStore(openVault(kvConfig(bao)), 'kv');
  await home.open(INSTALLATION_ID);
  return home;
}

/** Owners are called by their ids. */
const NAMES: OwnerNames = { nameOf: (ownerId) => Promise.resolve(ownerId) };

/**
 * Both homes of user keys, as one process of an installation that was set up with `place` has them.
 */
export async function openRoutedWrapStore(
  store: Store,
  masterKey: MasterKey,
  vault: VaultWrapStore,
  place: WrapLocation,
): Promise<RoutedWrapStore> {
  const pins = { store: 'embedded', masterKey: 'local', userKeys: place, blobs: 'filesystem' };
  const clock = new SystemClock();
  const { installation_id: installationId } = await createInstallation(store, pins, clock);
  await completeInstallation(store, pins, { installationId, wasReady: false, clock });
  const homes = new RoutedWrapStore(store, vault, NAMES, masterKey);
  await homes.open(INSTALLATION_ID);
  return homes;
}
