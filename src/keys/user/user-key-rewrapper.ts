import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { failpoint, isDomainError } from '../../kernel';
import { type Collection, Store } from '../../store';
import { type ItemResult, MasterKey, MAX_BATCH, refusedItem } from '../master';
import { DueUserKeys } from './due-user-keys';
import { isInVault, storedRow } from './user-key-form';
import { NameHeld, UserKeyHome } from './user-key-home';
import { rewrapStored } from './user-key-wraps';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';

export interface RewrapOutcome {
  /** Rows that were due. None: nothing is left for this target but what is forged. */
  readonly attempted: number;
  /** Rows that were written with the target version. A row that somebody else wrote meanwhile is not among them and comes again. */
  readonly done: number;
  /** Owners whose row was put into quarantine for this target: at least one version in it does not unwrap. */
  readonly failed: readonly string[];
  /** Ids of rows that do not hold their seal: never written, met again by each batch. */
  readonly forged: readonly string[];
}

export interface RewrapOptions {
  /** Rows that are wrapped and written in one go. */
  readonly part?: number;
  /** Asked between two parts: where it says no, or throws, those under way are the last ones. */
  readonly goesOn?: () => Promise<boolean>;
}

interface Written {
  done: number;
  readonly failed: string[];
}

/** Parts under way at once: the embedded store makes one commit of what is written together. */
const PARTS_AT_ONCE = 4;

/** Writes under way at once, where wraps lie elsewhere than in the rows. */
const KEPT_AT_ONCE = 8;
/**
 * Of rows whose wraps lie in Vault so many go from the first request to the write of the rows together, and no others beside them: each is
 * three requests, one that comes too late costs its neighbours theirs, and those who wait for an answer want sockets too.
 */
const ELSEWHERE_AT_ONCE = 16;

/**
 * Wraps user keys again, for a rotation of the master key. Progress is the data itself: a row whose lowest master version is older than the
 * target is due, pending rows included. A row that does not unwrap is marked for its target and not attempted again for that one.
 */
@Injectable()
export class UserKeyRewrapper {
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly masterKey: MasterKey,
    private readonly home: UserKeyHome,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * At most `limit` rows, in parts of `part`, some of them at once, so that the key home and the store work at the same time. Where Vault
   * fails behind the first rows that were written the batch ends there: on one that answers now and then a rotation gets on.
   * @throws DomainError `kms_unavailable`, `store_unavailable`; what was written stays.
   */
  async rewrapBatch(
    target: number,
    limit = MAX_BATCH,
    { part = MAX_BATCH, goesOn = () => Promise.resolve(true) }: RewrapOptions = {},
  ): Promise<RewrapOutcome> {
    const due = new DueUserKeys(this.#rows, target);
    const parts: Promise<void>[] = [];
    const written: Written = { done: 0, failed: [] };
    let attempted = 0;
    try {
      for (let rows = await due.next(Math.min(part, limit)); rows.length > 0;) {
        attempted += rows.length;
        parts.push(handled(this.#rewrapRows(target, rows, written)));
        await parts.at(rows.some(isInVault) ? -1 : -PARTS_AT_ONCE);
        await nextTurn();
        rows = attempted < limit && (await goesOn()) ? await due.next(Math.min(part, limit - attempted)) : [];
      }
      await Promise.all(parts);
    } catch (error) {
      await Promise.allSettled(parts);
      if (written.done === 0 || !isDomainError(error, 'kms_unavailable')) throw error;
    }
    return { attempted, ...written, forged: due.forged };
  }

  /**
   * Rows to be attempted for this target: wrapped by an older version, and not in quarantine for this target already. Forged ones are counted
   * as well, since a count does not look into rows. Its cost grows with their number: not for every batch.
   */
  async remaining(target: number): Promise<number> {
    const earlier = Array.from({ length: target - 1 }, (_, at) => at + 1);
    const counts = earlier.flatMap((version) => [
      this.#rows.count('due', [false, version]),
      this.#rows.count('quarantine', [version]),
    ]);
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  /** Rows that could not be wrapped again for this target. */
  quarantinedFor(target: number): Promise<number> {
    return this.#rows.count('quarantine', [target]);
  }

  /**
   * Rows in which `version` is the oldest master key version in use, quarantine included: what a retire counts. One after the other: a row
   * goes into quarantine with the version that it has and comes out of it with a newer one, so in this order none is missed on its way.
   */
  async countWrappedBy(version: number): Promise<number> {
    const sound = await this.#rows.count('due', [false, version]);
    return sound + (await this.#rows.count('due', [true, version]));
  }

  async #rewrapRows(target: number, rows: readonly UserKeyDoc[], written: Written): Promise<void> {
    const size = rows.some(isInVault) ? ELSEWHERE_AT_ONCE : rows.length;
    for (let start = 0; start < rows.length; start += size)
      await this.#rewrapPart(target, rows.slice(start, start + size), written);
  }

  async #rewrapPart(target: number, rows: readonly UserKeyDoc[], written: Written): Promise<void> {
    await nextTurn();
    const rewrapped = await rewrapStored(this.home, this.masterKey, target, rows);
    failpoint('rotation.user-keys-rewrapped');
    await nextTurn();
    const results = await this.#keep(rewrapped);
    const sound = results.flatMap((result) => (result.ok ? [storedRow(result.value)] : []));
    const done = sound.length === 0 ? 0 : await this.#rows.replaceMany(sound);
    written.done += done;
    failpoint('rotation.user-keys-written');
    for (const [at, row] of rows.entries()) {
      const result = results[at];
      if (result?.ok === false && (await this.#quarantine(row, target, result.reason))) written.failed.push(row._id);
    }
  }

  /** The wraps go before the rows: a row may claim an older master version than its wraps need, never a newer one. */
  async #keep(rewrapped: readonly ItemResult<UserKeyDoc>[]): Promise<ItemResult<UserKeyDoc>[]> {
    // There is nothing to put away: not a promise a row for it.
    if (!rewrapped.some((result) => result.ok && isInVault(result.value))) return [...rewrapped];
    const results: ItemResult<UserKeyDoc>[] = [];
    for (let start = 0; start < rewrapped.length; start += KEPT_AT_ONCE) {
      const part = rewrapped.slice(start, start + KEPT_AT_ONCE);
      results.push(...(await Promise.all(part.map((result) => this.#keepOne(result)))));
    }
    return results;
  }

  async #keepOne(result: ItemResult<UserKeyDoc>): Promise<ItemResult<UserKeyDoc>> {
    if (!result.ok) return result;
    try {
      await this.home.keep(result.value);
      return result;
    } catch (error) {
      if (error instanceof NameHeld) return refusedItem('the place of the wrap is taken');
      throw error;
    }
  }

  async #quarantine(row: UserKeyDoc, target: number, reason: string): Promise<boolean> {
    const marked = { ...row, quarantined: true, quarantine: reason, quarantine_target: target };
    return (await this.#rows.replace(marked)) !== undefined;
  }
}

/** Its fault is told when the whole batch has ended; until then nobody may be waiting for it. */
function handled<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}
