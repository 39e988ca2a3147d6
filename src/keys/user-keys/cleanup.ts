import { Injectable, Logger } from '@nestjs/common';
import { audited, AuditSink, Clock, DAY, failpoint, HOUR, MINUTE } from '../../kernel';
import { type Collection, retryOnConflict, scanRows, Store } from '../../store';
import { erased, giveUp } from './tombstones';
import { UserKeyService } from './user-key-service';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';
import { OwnerNames, WrapStore } from './wrap-store/wrap-store';

/**
 * Ends pending user keys whose writer died: nothing is sealed under them. One replica runs it
 * periodically.
 */
@Injectable()
export class UserKeySweeper {
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly clock: Clock,
    private readonly wraps: WrapStore,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * How many were ended. `graceMs` only spares living writers the trouble of starting again: each
   * end holds the revision, as their activation does, so one of the two happens and never both.
   */
  async sweep(graceMs = HOUR): Promise<number> {
    const before = this.clock.now() - graceMs;
    let removed = 0;
    for await (const row of scanRows(this.#rows, 'state', ['pending'])) {
      if (row.created_at > before) break;
      if (await giveUp(this.#rows, this.wraps, row)) removed += 1;
    }
    return removed;
  }
}

/**
 * Wraps in Vault that no row names: of versions that were dropped, or put back by a process that
 * slept meanwhile. The row says that they are to go before they do, so whoever comes next goes on.
 * Where wraps are stored in the rows there are none. A wrap above the row's current version is
 * never one: a store that was restored from a backup is behind Vault.
 */
@Injectable()
export class OrphanedWraps {
  readonly #logger = new Logger('OrphanedWraps');
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly wraps: WrapStore,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * How many went of this owner. A wrap is put into Vault before a row names it, so the row is
   * stored again between the look and the removal: a writer that read it before fails its
   * compare-and-set, and comes again with another wrap.
   * @throws DomainError `kms_unavailable`.
   */
  async remove(ownerId: string): Promise<number> {
    const { marked, strays } = await retryOnConflict(async () => {
      const row = await this.#rows.find('_id', ownerId);
      if (row?.state !== 'active' || row.name === undefined) return { marked: undefined, strays: [] };
      const found = await this.wraps.orphans(row);
      const held = await this.#rows.replace({ ...row, strays: true });
      return held === undefined ? undefined : { marked: held, strays: found };
    });
    if (marked === undefined) return 0;
    failpoint('user-key.strays-marked');
    await this.wraps.delete(marked, strays);
    failpoint('user-key.strays-removed');
    const { strays: _, ...row } = marked;
    // Where this fails, the next sweep looks again.
    await this.#rows.replace(row);
    return strays.length;
  }

  /**
   * Looks at every owner whose key was ever rotated: of the others a stray can only be a wrap of a
   * key that nothing was sealed under. To be run periodically by one replica. One owner whose
   * document cannot be read holds up nobody else; returns how many wraps went.
   */
  async sweep(): Promise<number> {
    let removed = 0;
    // By `current`, the highest first: from the first key that was never rotated on none was.
    for await (const row of scanRows(this.#rows, 'rotated', ['active'], undefined, { reverse: true })) {
      if (row.current <= 1) break;
      removed += await this.#sweepOne(row);
    }
    return removed;
  }

  async #sweepOne(row: UserKeyDoc): Promise<number> {
    try {
      if (row.name === undefined) return 0;
      const isDue = row.strays === true || (await this.wraps.orphans(row)).length > 0;
      return isDue ? await this.remove(row._id) : 0;
    } catch (error) {
      this.#logger.warn({ code: (error as { code?: unknown }).code, msg: 'stray wraps of an owner stay for now' });
      return 0;
    }
  }
}

/** Longer than a registration may take, its confirmation by mail included. */
export const REGISTRATION_LIFE = 15 * MINUTE;
/**
 * An older key belongs to an account whose row somebody took away, and not to a registration.
 * Short, since the end of a key is for good: nobody who writes to the database can have an older
 * one ended.
 */
export const OLDEST = DAY;

/** So many keys without an account are what registrations leave, however few accounts there are. */
const FEW = 3;
/** Ended in one sweep at most. */
const MOST = 1_000;

/** Whether anything is sealed under the owner's key. */
export type IsUsed = (ownerId: string) => Promise<boolean>;

/**
 * Active keys without an account: of a registration whose withdrawal nobody could end, since the
 * store stalled. In Vault such a key holds the user name. One replica runs it periodically.
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
   * How many were ended, newest first. The key's row is read before the account is looked for, and
   * ended by compare-and-set: a registration that comes back to this key stores the row again
   * (`UserKeyService.create`) after its account is there. So either the account is seen, or the end
   * fails, however long either of the two slept.
   *
   * The end of a key cannot be undone, so nothing is ended where more keys lack an account than
   * have one: then accounts are missing, as while somebody restores them.
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

/**
 * Keys that are old enough: those without an account, how many these are, and how many have one.
 */
interface Found {
  readonly orphans: UserKeyDoc[];
  count: number;
  owned: number;
}
