import { readFileSync } from 'node:fs';
import type { VaultConfig } from '../config';
import { StartupError } from '../kernel';
import type { VaultFigures } from '../observability';
import { VaultApi } from './vault-api';
import { VaultSession } from './vault-session';
import { VaultTransport } from './vault-transport';

/**
 * One login, one renewer and one breaker for all that a process keeps in Vault. Nothing is sent yet.
 * @throws StartupError where VAULT_CACERT cannot be read.
 */
export function openVault({ address, namespace, caCert, login }: VaultConfig, figures?: VaultFigures): VaultSession {
  const transport = new VaultTransport(authorities(caCert));
  return new VaultSession(new VaultApi(address, namespace, transport, figures), login, figures);
}

function authorities(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch {
    throw new StartupError(`VAULT_CACERT: ${path} cannot be read.`);
  }
}
