import { Inject, Injectable } from '@nestjs/common';
import { DomainError, failpoint, UserDataHandler } from '../kernel';
import { BackupExposure, UserKeyService } from '../keys/user-keys';
import { Users } from '../users';
import { ErasureDoc } from './erasure.collection';
import { Erasures } from './erasures';

/** DI token of all handlers of user data, sessions first. Provided by the app module. */
export const ERASED_USER_DATA = Symbol('coffer:erased-user-data');

/**
 * Writers that began before the account was marked may store a last row after a pass; each ends
 * when it finds the key destroyed.
 */
const PASSES = 20;

/**
 * Executes a decided erasure from any point to its end. Each step is idempotent and tolerates two
 * concurrent processes.
 * Order: the account is already marked, so no new login succeeds. The sessions end; the user key is
 * destroyed, which makes all data unreadable; rows and blobs are removed. The account's row is
 * removed last, and only then is its name free.
 */
@Injectable()
export class ErasureExecutor {
  constructor(
    private readonly erasures: Erasures,
    private readonly users: Users,
    private readonly userKeys: UserKeyService,
    private readonly erasedKeys: BackupExposure,
    @Inject(ERASED_USER_DATA) private readonly handlers: readonly UserDataHandler[],
  ) {}

  /**
   * Returns the finished erasure. Requires the store, and Vault if it holds the wraps of user keys.
   */
  async finish(erasure: ErasureDoc): Promise<ErasureDoc> {
    if (erasure.state === 'erased') return erasure;
    const accountId = erasure._id;
    const [sessions] = this.handlers;
    if (sessions !== undefined) await this.#erase(sessions, accountId);
    failpoint('erase.sessions-ended');
    await this.#destroyKey(accountId);
    await this.#eraseHouses(accountId);
    await this.#removeAccount(accountId);
    failpoint('erase.account-removed');
    return this.erasures.finish(accountId);
  }

  async #destroyKey(accountId: string): Promise<void> {
    await this.userKeys.destroy(accountId);
    failpoint('erase.key-destroyed');
    await this.erasures.noteWraps(accountId, await this.erasedKeys.wrapsUntilNow(accountId));
    failpoint('erase.wraps-noted');
  }

  /** Repeats passes over all handlers until a pass removes nothing. */
  async #eraseHouses(accountId: string): Promise<void> {
    for (let pass = 0; pass < PASSES; pass += 1) {
      let rows = 0;
      for (const handler of this.handlers) {
        rows += await this.#erase(handler, accountId);
        failpoint('erase.module-erased');
      }
      if (rows === 0) return;
    }
    throw new DomainError('conflict', {
      detail: 'Another process still writes data of this account. Retry.',
      retryAfterSeconds: 5,
    });
  }

  async #erase(handler: UserDataHandler, accountId: string): Promise<number> {
    const rows = await handler.eraseUser(accountId);
    failpoint('erase.rows-removed');
    await this.erasures.count(accountId, handler.name, rows);
    return rows;
  }

  /** Removes by id, so that a later account of the same name is never affected. */
  async #removeAccount(accountId: string): Promise<void> {
    for (;;) {
      const user = await this.users.byId(accountId);
      if (user === undefined || (await this.users.remove(user))) return;
    }
  }
}
