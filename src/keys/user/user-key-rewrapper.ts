import { Injectable } from '@nestjs/common';
import { failpoint } from '../../kernel';
import { type Collection, Store } from '../../store';
import { type ItemResult, MasterKey, MAX_BATCH, refusedItem } from '../master';
import { NameHeld, UserKeyHome } from './user-key-home';
import { rewrapStored } from './user-key-wraps';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';

export interface RewrapOutcome {
  /** Rows that were written with the target version. A row that somebody else wrote meanwhile is not among them and comes again. */
  readonly done: number;
  /** Owners whose row was put into quarantine for this target: at least one version in it does not unwrap. */
  readonly failed: readonly string[];
  /** Ids of rows that do not hold their seal: never written, met again by each batch. */
  readonly forged: readonly string[];
  /** Rows that are still to be attempted for this target. Forged ones are counted as well: a count does not look into rows. */
  readonly remaining: number;
}

/** Writes under way at once, where wraps lie elsewhere than in the rows. */
const KEPT_AT_ONCE = 8;

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

  /** One batch of at most `limit` rows. Nothing is left to attempt when `done` and `failed` are empty. @throws DomainError `kms_unavailable`. */
  async rewrapBatch(target: number, limit = MAX_BATCH): Promise<RewrapOutcome> {
    const { rows, forged } = await this.#due(target, limit);
    const rewrapped = await rewrapStored(this.home, this.masterKey, target, rows);
    failpoint('rotation.user-keys-rewrapped');
    const results = await this.#keep(rewrapped);
    const sound = results.flatMap((result) => (result.ok ? [this.home.stored(result.value)] : []));
    const done = sound.length === 0 ? 0 : await this.#rows.replaceMany(sound);
    failpoint('rotation.user-keys-written');
    const failed: string[] = [];
    for (const [at, row] of rows.entries()) {
      const result = results[at];
      if (result?.ok === false && (await this.#quarantine(row, target, result.reason))) failed.push(row._id);
    }
    return { done, failed, forged, remaining: await this.remaining(target) };
  }

  /** Rows to be attempted for this target: wrapped by an older version, and not in quarantine for this target already. */
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

  /** Rows in which `version` is the oldest master key version in use, quarantine included: what a retire counts. */
  countWrappedBy(version: number): Promise<number> {
    return this.#rows.count('master_version', [version]);
  }

  /** First the rows that were never refused, oldest master version first; then those that an earlier target put into quarantine. */
  async #due(target: number, limit: number): Promise<{ rows: UserKeyDoc[]; forged: string[] }> {
    const forged: string[] = [];
    const rows = await this.#take('due', [false], limit, (row) => (row.master_version ?? target) < target, forged);
    if (rows.length < limit) {
      const again = (row: UserKeyDoc): boolean => (row.quarantine_target ?? target) < target;
      rows.push(...(await this.#take('quarantine', [], limit - rows.length, again, forged)));
    }
    return { rows, forged };
  }

  async #take(
    index: string,
    prefix: readonly boolean[],
    limit: number,
    isDue: (row: UserKeyDoc) => boolean,
    forged: string[],
  ): Promise<UserKeyDoc[]> {
    const taken: UserKeyDoc[] = [];
    for (let after: string | undefined; ;) {
      const options = { limit: limit - taken.length, onForged: (id: string) => forged.push(id) };
      const page = await this.#rows.list(index, prefix, after === undefined ? options : { ...options, after });
      const due = page.items.filter(isDue);
      taken.push(...due);
      // Index order: behind the first row that is not due there is none that is.
      if (page.next === undefined || due.length < page.items.length || taken.length >= limit) return taken;
      after = page.next;
    }
  }

  /** The wraps go before the rows: a row may claim an older master version than its wraps need, never a newer one. */
  async #keep(rewrapped: readonly ItemResult<UserKeyDoc>[]): Promise<ItemResult<UserKeyDoc>[]> {
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
