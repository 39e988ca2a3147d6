import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { failpoint, isDomainError } from '../../kernel';
import { type Collection, type Position, Store } from '../../store';
import { type ItemResult, MasterKey, MAX_BATCH, refusedItem, wrapVersion } from '../master';
import { DueUserKeys } from './due-user-keys';
import { isInVault, storedRow } from './user-key-form';
import { NameHeld, UserKeyHome } from './user-key-home';
import { type WrapUse, wrapsUpTo } from './user-key-walk';
import { isConsistent, rewrapStored } from './user-key-wraps';
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

export interface RewrapPage extends RewrapOutcome {
  /** The lowest master key version that rows of this page need which were not attempted; Infinity where there are none. */
  readonly lowest: number;
  /** False where it was broken off before its last row: the page is to be taken again. */
  readonly isWhole: boolean;
  readonly next: Position | undefined;
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
    const take = (size: number): Promise<readonly UserKeyDoc[]> => due.next(size);
    return { ...(await this.#rewrapTaken(target, take, { limit, part, goesOn })), forged: due.forged };
  }

  /**
   * As `rewrapBatch`, of the rows behind `after` in the order of their ids, whatever an index says of them: what a rotation ends with. Rows that
   * are wrapped by another version than they name go into quarantine.
   */
  async rewrapPage(
    target: number,
    after: Position | undefined,
    limit = MAX_BATCH,
    { part = MAX_BATCH, goesOn = () => Promise.resolve(true) }: RewrapOptions = {},
  ): Promise<RewrapPage> {
    const forged: string[] = [];
    const onForged = (id: string): void => void forged.push(id);
    const page = await this.#rows.list('_id', [], { limit, onForged, ...(after !== undefined && { after }) });
    const due: UserKeyDoc[] = [];
    let lowest = Infinity;
    for (const row of page.items) {
      if (isDue(row, target)) due.push(row);
      else lowest = Math.min(lowest, lowestOf(row));
    }
    const take = (size: number): Promise<readonly UserKeyDoc[]> => Promise.resolve(due.splice(0, size));
    const outcome = await this.#rewrapTaken(target, take, { limit, part, goesOn });
    return { ...outcome, forged, lowest, isWhole: due.length === 0, next: page.next };
  }

  async #rewrapTaken(
    target: number,
    take: (size: number) => Promise<readonly UserKeyDoc[]>,
    { limit, part, goesOn }: Required<RewrapOptions> & { readonly limit: number },
  ): Promise<Omit<RewrapOutcome, 'forged'>> {
    const parts: Promise<void>[] = [];
    const written: Written = { done: 0, failed: [] };
    let attempted = 0;
    try {
      for (let rows = await take(Math.min(part, limit)); rows.length > 0;) {
        attempted += rows.length;
        parts.push(handled(this.#rewrapRows(target, rows, written)));
        await parts.at(rows.some(isInVault) ? -1 : -PARTS_AT_ONCE);
        await nextTurn();
        rows = attempted < limit && (await goesOn()) ? await take(Math.min(part, limit - attempted)) : [];
      }
      await Promise.all(parts);
    } catch (error) {
      await Promise.allSettled(parts);
      if (written.done === 0 || !isDomainError(error, 'kms_unavailable')) throw error;
    }
    return { attempted, ...written };
  }

  /** What a version up to `version` is needed for, from the rows and the wraps themselves: the one thing that a retire may rest on. */
  wrapsUpTo(version: number, limit: number): Promise<WrapUse> {
    return wrapsUpTo(version, this.#rows, this.home, limit);
  }

  /**
   * Rows to be attempted for this target: wrapped by an older version, and not in quarantine for this target already. By the index, for
   * display: forged ones are counted as well. Its cost grows with their number: not for every batch.
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

  /** Rows that could not be wrapped again for this target, by the index. */
  quarantinedFor(target: number): Promise<number> {
    return this.#rows.count('quarantine', [target]);
  }

  /** Rows in which `version` is the oldest master key version in use, quarantine included, by the index and up to `limit`: for display. */
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

/** By the wraps where they are in the row, and for a row of Vault by its own words, which may be behind them. */
const lowestOf = ({ versions }: UserKeyDoc): number =>
  Math.min(
    ...versions.map(({ wrapped, master_version }) => Math.min(wrapVersion(wrapped) ?? master_version, master_version)),
  );

function isDue(row: UserKeyDoc, target: number): boolean {
  if (row.versions.length === 0 || (row.quarantine_target ?? 0) >= target) return false;
  const isDoubtful = !isInVault(row) && !row.versions.every(isConsistent);
  return isDoubtful || lowestOf(row) < target || (row.master_version ?? 0) < target;
}

/** Its fault is told when the whole batch has ended; until then nobody may be waiting for it. */
function handled<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}
