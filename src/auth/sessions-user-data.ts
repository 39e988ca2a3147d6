import { Injectable } from '@nestjs/common';
import { isDomainError, UserDataHandler } from '../kernel';
import { OwnerKeys, Sealer, VersionCounts, versionIn } from '../keys/user-keys';
import { openClient, sealClient } from './sessions/session-client';
import { SessionDoc } from './sessions/session.collection';
import { MAX_SESSIONS, Sessions } from './sessions/sessions';

const ALL = { limit: 2 * MAX_SESSIONS, onTampered: () => undefined };

/** Re-encrypts, counts and erases a user's sessions. */
@Injectable()
export class SessionsUserData implements UserDataHandler {
  readonly name = 'sessions';
  readonly collections = ['sessions'];

  constructor(
    private readonly sessions: Sessions,
    private readonly sealer: Sealer,
  ) {}

  /**
   * Repeats passes until one finds nothing to do. Leaves a value that does not decrypt unchanged.
   */
  async reencrypt(userId: string): Promise<number> {
    await this.#touchBare(userId);
    let total = 0;
    for (;;) {
      // Read before the key row: a session that changes meanwhile fails its compare-and-set, and
      // the next pass finds it.
      const { items } = await this.sessions.list(userId, ALL);
      const stale = await this.sealer.with(userId, (keys) => items.flatMap((session) => renewed(keys, session)));
      if (stale.length === 0) return total;
      for (const session of stale) total += (await this.sessions.replace(session)) === undefined ? 0 : 1;
    }
  }

  async countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    const counts = new VersionCounts(versions);
    for await (const { client } of this.sessions.every(userId)) counts.add([versionIn(client)]);
    return counts.all;
  }

  eraseUser(userId: string): Promise<number> {
    return this.sessions.endAll(userId);
  }

  /**
   * Rewrites sessions without a client: a login that is about to add one, encrypted under the
   * previous key version, then fails its compare-and-set.
   */
  async #touchBare(userId: string): Promise<void> {
    const { items } = await this.sessions.list(userId, ALL);
    for (const session of items) if (session.client === undefined) await this.sessions.replace(session);
  }
}

function renewed(keys: OwnerKeys, session: SessionDoc): SessionDoc[] {
  const { client, _id } = session;
  if (client === undefined || versionIn(client) >= keys.version) return [];
  try {
    return [{ ...session, client: sealClient(keys, _id, openClient(keys, _id, client)) }];
  } catch (error) {
    if (isDomainError(error, 'decryption_failed')) return [];
    throw error;
  }
}
