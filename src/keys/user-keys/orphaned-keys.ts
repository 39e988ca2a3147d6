import { Injectable, Logger } from '@nestjs/common';
import { audited, AuditSink, Clock, DAY, MINUTE } from '../../kernel';
import { type Collection, scanRows, Store } from '../../store';
import { erased } from './given-up-keys';
import { OwnerNames } from './wrap-stores/owner-names';
import { UserKeyService } from './user-key-service';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';

/** Longer than a registration may take, its confirmation by mail included. */
export const REGISTRATION_LIFE = 15 * MINUTE;
/**
 * An older key belongs to an account whose row somebody took away, and not to a registration. Short, since the end of a key is
 * for good: nobody who writes to the database can have an older one ended.
 */
export const OLDEST = DAY;

/** So many keys without an account are what registrations leave, however few accounts there are. */
const FEW = 3;
/** Ended in one sweep at most. */
const MOST = 1_000;

/** Whether anything is sealed under the owner's key. */
export type IsUsed = (ownerId: string) => Promise<boolean>;

/**
 * Active keys without an account: of a registration whose withdrawal nobody could end, since the store stalled. In Vault such a key holds the
 * user name. To be run now and then by one replica.
 */
@Injectable()
export class OrphanedKeys {
  readonly #logger = new Logger('OrphanedKeys');
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly clock: Clock,
    private readonly accounts: OwnerNames,
    private readonly userKeys: UserKeyService,
    private readonly audit: AuditSink,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * How many were ended, newest first. The key's row is read before the account is looked for, and ended by compare-and-set: a registration
   * that comes back to this key stores the row again (`UserKeyService.create`) after its account is there. So either the account is seen, or the
   * end does not hold, however long either of the two slept.
   *
   * The end of a key cannot be undone, so nothing is ended where more keys lack an account than have one: then accounts are missing, as
   * while somebody restores them.
   */
  async sweep(isUsed: IsUsed): Promise<number> {
    const { orphans, count, owned } = await this.#found();
    if (count > Math.max(FEW, owned)) {
      this.#logger.error(
        `${count} user keys have no account and ${owned} have one: accounts are missing, no key is ended`,
      );
      return 0;
    }
    let ended = 0;
    for (const row of orphans) if (await this.#endIfOrphaned(row, isUsed)) ended += 1;
    return ended;
  }

  async #found(): Promise<Found> {
    const now = this.clock.now();
    const found: Found = { orphans: [], count: 0, owned: 0 };
    for await (const row of scanRows(this.#rows, 'state', ['active'], undefined, { reverse: true })) {
      const age = now - row.created_at;
      if (age > OLDEST) break;
      if (age >= REGISTRATION_LIFE) await this.#look(row, found);
    }
    return found;
  }

  async #look(row: UserKeyDoc, found: Found): Promise<void> {
    if ((await this.accounts.nameOf(row._id)) !== undefined) {
      found.owned += 1;
      return;
    }
    found.count += 1;
    if (found.orphans.length < MOST) found.orphans.push(row);
  }

  async #endIfOrphaned(row: UserKeyDoc, isUsed: IsUsed): Promise<boolean> {
    if (await isUsed(row._id)) return false;
    const intent = { action: 'user-key.orphan-end', actor: 'system:user-keys', resource: `user/${row._id}` } as const;
    return audited(this.audit, intent, async () => {
      if ((await this.#rows.replace(erased(row))) === undefined) return false;
      await this.userKeys.destroy(row._id);
      return true;
    });
  }
}

/** Keys that are old enough: those without an account, how many these are, and how many have one. */
interface Found {
  readonly orphans: UserKeyDoc[];
  count: number;
  owned: number;
}
