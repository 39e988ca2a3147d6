import { readFileSync } from 'node:fs';
import type { VaultConfig } from '../../../config';
import { StartRefused } from '../../../kernel';
import { VaultApi } from './vault-api';
import { VaultSession } from './vault-session';
import { VaultTransport } from './vault-transport';

/**
 * One login, one renewer and one breaker for all that a process keeps in Vault. Nothing is sent yet.
 * @throws StartRefused where VAULT_CACERT cannot be read.
 */
export function openVault({ address, namespace, caCert, login }: VaultConfig): VaultSession {
  return new VaultSession(new VaultApi(address, namespace, new VaultTransport(authorities(caCert))), login);
}

function authorities(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch {
    throw new StartRefused(`VAULT_CACERT: ${path} cannot be read.`);
  }
}
