import { Logger } from '@nestjs/common';
import type { VaultSession } from './vault-session';

const logger = new Logger('VaultSettings');

/** Where Vault keeps fewer, somebody who may write could push versions out. deploy/vault/init.sh sets more for the master key. */
export const ENOUGH_VERSIONS = 1_000;

interface Settings {
  readonly delete_version_after?: unknown;
  readonly max_versions?: unknown;
}

/**
 * Says at the start what the KV engine is set to do by itself with the documents that keys lie in, one line each. Nothing is refused: what
 * Vault deletes by time an operator can undelete, and a service that does not start helps nobody. Never rejects.
 */
export async function tellKvSettings(session: VaultSession, mount: string, document: string): Promise<void> {
  for (const path of [`${mount}/config`, `${mount}/metadata/${document}`]) {
    const found = await settingsAt(session, path);
    if (found === 'hidden') logger.log(`${path}: Vault's policy does not let Coffer look at it (docs/operations.md)`);
    else if (found !== undefined) tell(path, found);
  }
}

function tell(path: string, { delete_version_after: after, max_versions: most }: Settings): void {
  if (isSet(after)) {
    logger.error(`${path}: delete_version_after is set, so Vault deletes keys by itself after a time: set it to 0s`);
  }
  if (typeof most === 'number' && most > 0 && most < ENOUGH_VERSIONS) logger.log(`${path}: max_versions is ${most}`);
}

/** Vault writes a duration, as `0s` or `768h0m0s`; `-1s` in metadata overrides the engine's and means never. */
const isSet = (duration: unknown): boolean =>
  typeof duration === 'string' && /[1-9]/.test(duration) && !duration.startsWith('-');

async function settingsAt(session: VaultSession, path: string): Promise<Settings | 'hidden' | undefined> {
  try {
    const { status, body } = await session.request({ method: 'GET', path });
    if (status === 403) return 'hidden';
    return status === 200 && typeof body.data === 'object' && body.data !== null ? body.data : undefined;
  } catch {
    // Vault is away: the start itself says so.
    return undefined;
  }
}
