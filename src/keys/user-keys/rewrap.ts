import { Injectable } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { failpoint, isDomainError } from '../../kernel';
import { type Collection, type Position, Store } from '../../store';
import { type ItemResult, MasterKey, MAX_BATCH, refusedItem, wrapVersion } from '../master-key';
import { isInVault, storedRow, type UserKeyDoc, userKeysCollection } from './user-keys.collection';
import { WrapPathConflict, WrapStore } from './wrap-store/wrap-store';
import { isConsistent, rewrapStored } from './wraps';
import { wrapsUpTo, type WrapUse } from './wraps-in-use';

export interface RewrapBatch {
  /** Rows that were due. */
  readonly attempted: number;
  /**
   * Rows that were written with the target version. A row that somebody else wrote meanwhile is not
   * among them and is left for another walk.
   */
  readonly done: number;
  /**
   * Owners whose row was put into quarantine for this target: at least one version in it does not
   * unwrap.
   */
  readonly failed: readonly string[];
  /** Ids of rows that fail MAC verification: never written. */
  readonly forged: readonly string[];
  /**
   * The lowest master key version that rows need which were not due; Infinity where there are none.
   */
  readonly lowest: number;
  /** Where the next batch begins; undefined behind the last row. */
  readonly next: Position | undefined;
}

export interface RewrapOptions {
  /** The end of the batch before this one; undefined for the first batch of a walk. */
  readonly after?: Position | undefined;
  /** Rows that are read, wrapped and written in one go. */
  readonly part?: number;
  /** Asked between two parts: where it says no, or throws, those running are the last ones. */
  readonly goesOn?: () => Promise<boolean>;
}

interface Written {
  done: number;
  readonly failed: string[];
}

/**
 * Parts running at once, so that Vault and the store are both busy. The embedded store commits
 * their writes together.
 */
const PARTS_AT_ONCE = 8;

/** Writes running at once, where the wraps are stored elsewhere than in the rows. */
const KEPT_AT_ONCE = 8;
/**
 * Of rows whose wraps are stored in Vault so many go from the first request to the write of the
 * rows together, and no others beside them: each is three requests, one that comes too late costs
 * its neighbours theirs, and those who wait for an answer want sockets too.
 */
const ELSEWHERE_AT_ONCE = 16;

/**
 * Wraps user keys again, for a rotation of the master key: row after row in the order of their ids,
 * pending rows included, whatever an index says of them. Progress is the data itself: a row that
 * needs an older version than the target is due. A row that does not unwrap, or that is wrapped by
 * another version than it names, is marked for its target and not attempted again for that one.
 */
@Injectable()
export class UserKeyRewrap {
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly masterKey: MasterKey,
    private readonly wraps: WrapStore,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * Looks at `limit` rows at most, in parts of `part`, some of them at once, so that the key
   * backend and the store work at the same time. Where Vault fails behind the first rows that were
   * written the batch ends there: on one that answers periodically a rotation gets on.
   * @throws DomainError `kms_unavailable`, `store_unavailable`; what was written stays.
   */
  async rewrapBatch(target: number, limit = MAX_BATCH, options: RewrapOptions = {}): Promise<RewrapBatch> {
    const { after, part = MAX_BATCH, goesOn = () => Promise.resolve(true) } = options;
    const walk = new RewrapCursor(this.#rows, target, after);
    const parts: Promise<void>[] = [];
    const written: Written = { done: 0, failed: [] };
    let attempted = 0;
    try {
      for (let isGoing = true; isGoing && !walk.isOver && walk.seen < limit; isGoing = await goesOn()) {
        const rows = await walk.next(Math.min(part, limit - walk.seen));
        if (rows.length === 0) continue;
        attempted += rows.length;
        parts.push(handled(this.#rewrapRows(target, rows, written)));
        await parts.at(rows.some(isInVault) ? -1 : -PARTS_AT_ONCE);
        await nextTurn();
      }
      await Promise.all(parts);
    } catch (error) {
      await Promise.allSettled(parts);
      if (written.done === 0 || !isDomainError(error, 'kms_unavailable')) throw error;
    }
    const { forged, lowest, position } = walk;
    return { attempted, ...written, forged, lowest, next: position };
  }

  /**
   * What a version up to `version` is needed for, from the rows and the wraps themselves: the one
   * thing that a retire may rest on.
   */
  wrapsUpTo(version: number, limit: number): Promise<WrapUse> {
    return wrapsUpTo(version, this.#rows, this.wraps, limit);
  }

  /**
   * Rows to be attempted for this target: wrapped by an older version, and not in quarantine for
   * this target already. By the index, for display: forged ones are counted as well. Its cost grows
   * with their number: not for every batch.
   */
  async remaining(target: number): Promise<number> {
    let count = 0;
    // One after the other: a server that is slow is not asked everything at once.
    for (let version = 1; version < target; version += 1) {
      count += await this.#rows.count('due', [false, version]);
      count += await this.#rows.count('quarantine', [version]);
    }
    return count;
  }

  /** Rows that could not be rewrapped for this target, by the index. */
  quarantinedFor(target: number): Promise<number> {
    return this.#rows.count('quarantine', [target]);
  }

  /**
   * Rows in which `version` is the oldest master key version in use, quarantine included, by the
   * index and up to `limit`: for display.
   */
  async countWrappedBy(version: number, limit?: number): Promise<number> {
    const counts = [false, true].map((quarantined) => this.#rows.count('due', [quarantined, version], limit));
    const [sound = 0, quarantined = 0] = await Promise.all(counts);
    return Math.min(limit ?? Infinity, sound + quarantined);
  }

  async #rewrapRows(target: number, rows: readonly UserKeyDoc[], written: Written): Promise<void> {
    const size = rows.some(isInVault) ? ELSEWHERE_AT_ONCE : rows.length;
    for (let start = 0; start < rows.length; start += size)
      await this.#rewrapPart(target, rows.slice(start, start + size), written);
  }

  async #rewrapPart(target: number, rows: readonly UserKeyDoc[], written: Written): Promise<void> {
    await nextTurn();
    const rewrapped = await rewrapStored(this.wraps, this.masterKey, target, rows);
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

  /**
   * The wraps go before the rows: a row may claim an older master version than its wraps need,
   * never a newer one.
   */
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
      await this.wraps.put(result.value);
      return result;
    } catch (error) {
      if (error instanceof WrapPathConflict) return refusedItem('the place of the wrap is taken');
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

/**
 * A walk over the rows of user keys in the order of their ids, which finds those that a rotation
 * still has to rewrap.
 */
export class RewrapCursor {
  /** Ids of rows that fail MAC verification, met so far. */
  readonly forged: string[] = [];
  /**
   * The lowest master key version that rows need which were not due; Infinity where there are none.
   */
  lowest = Infinity;
  /** Rows looked at. */
  seen = 0;
  isOver = false;

  constructor(
    private readonly rows: Collection<UserKeyDoc>,
    private readonly target: number,
    /** Behind the last row looked at; undefined before the first and behind the last of all. */
    public position: Position | undefined,
  ) {}

  /** Those that are due of the next `limit` rows. */
  async next(limit: number): Promise<readonly UserKeyDoc[]> {
    const onTampered = (id: string): void => void this.forged.push(id);
    const after = this.position;
    const page = await this.rows.list('_id', [], {
      limit,
      onTampered,
      ...(after !== undefined && { after }),
    });
    this.position = page.next;
    this.isOver = page.next === undefined;
    this.seen += limit;
    return page.items.filter((row) => this.#isDue(row));
  }

  #isDue(row: UserKeyDoc): boolean {
    if (isDue(row, this.target)) return true;
    this.lowest = Math.min(this.lowest, lowestOf(row));
    return false;
  }
}

/**
 * By the wraps where they are in the row, and for a row of Vault by its own words, which may be
 * behind them.
 */
const lowestOf = ({ versions }: UserKeyDoc): number =>
  Math.min(
    ...versions.map(({ wrapped, master_version }) => Math.min(wrapVersion(wrapped) ?? master_version, master_version)),
  );

function isDue(row: UserKeyDoc, target: number): boolean {
  if (row.versions.length === 0 || (row.quarantine_target ?? 0) >= target) return false;
  const isDoubtful = !isInVault(row) && !row.versions.every(isConsistent);
  return isDoubtful || lowestOf(row) < target || (row.master_version ?? 0) < target;
}
