import { Inject, Injectable } from '@nestjs/common';
import { DomainError, failpoint, UserDataHandler } from '../kernel';
import { BackupExposure, UserKeyService } from '../keys/user-keys';
import { Users } from '../users';
import { ErasureDoc } from './erasure.collection';
import { Erasures } from './erasures';

/** All that owns rows of users, sessions first. Handed in by app.module. */
export const ERASED_USER_DATA = Symbol('coffer:erased-user-data');

/** What began before the mark may store a last row behind a pass; each such writer ends when it finds its key gone. */
const PASSES = 20;

/**
 * A decided erase, from wherever it is to its end. The order: the account is marked already, so nobody new comes in; the sessions end; the
 * key is destroyed, and with it all that anybody could still read; rows and blobs go; the account's row goes last, and only then its name is
 * free. Each step may be repeated, by this process or by two at once.
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

  /** The erase as it is at its end. The store has to answer, and Vault where it keeps the wraps of user keys. */
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

  /** Passes until one finds nothing. */
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

  /** By the account's id, so that a later account of the same name is never touched. */
  async #removeAccount(accountId: string): Promise<void> {
    for (;;) {
      const user = await this.users.byId(accountId);
      if (user === undefined || (await this.users.remove(user))) return;
    }
  }
}
