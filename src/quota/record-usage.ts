import { Injectable, Logger, OnModuleInit } from '@nestjs/common';
import { Scheduler } from '../jobs';
import { Clock, DAY, MINUTE, Unchanged, failpoint, isDomainError, newId } from '../kernel';
import { scanRows } from '../store';
import { OwnerUsage } from './owner-usage';
import { CountedRecords, FileUsageDoc, isEmptyUsage } from './usage.collection';

/**
 * Far longer than any request lives: a write whose mark this process has seen for so long belongs
 * to a process that died.
 */
const DEAD_AFTER = 15 * MINUTE;
const COUNT_AGAIN_AFTER = 7 * DAY;

/** Walks the rows of an owner and sums up the sizes of the values. */
export type CountRecords = (ownerId: string) => Promise<number>;

/**
 * Counts records in USER_QUOTA. The sum and a record are two rows, so each write of a record is
 * announced in the sum before it happens, with the bytes that it adds, and ended afterwards. A
 * process that dies in between leaves too much counted, never too little. The job counts the rows
 * of such an owner again. Records of an installation that had no quota are counted at the first
 * write of their owner.
 */
@Injectable()
export class RecordUsage implements OnModuleInit {
  readonly #logger = new Logger('RecordUsage');
  readonly #counting = new Map<string, Promise<void>>();
  readonly #watch: Unchanged;
  #count: CountRecords | undefined;

  constructor(
    private readonly usage: OwnerUsage,
    private readonly scheduler: Scheduler,
    private readonly clock: Clock,
  ) {
    this.#watch = new Unchanged(clock);
  }

  onModuleInit(): void {
    this.scheduler.every('quota.records', 5 * MINUTE, async (turn) => {
      await this.sweep(() => turn.assertLease());
    });
  }

  /** Tells how records are counted: their module is above this one. */
  countBy(count: CountRecords): void {
    this.#count = count;
  }

  /**
   * Runs a write that changes the records of an owner by `bytes`. `write` returns undefined where
   * it changed nothing. `begin` runs before it, once there is room for it.
   * @throws DomainError `quota_exceeded`, and what `begin` and `write` throw
   */
  async during<T>(ownerId: string, bytes: number, write: () => Promise<T>, begin = nothing): Promise<T> {
    if (this.usage.quota === Infinity) {
      await begin();
      return write();
    }
    await this.ensureCounted(ownerId);
    const mark = newId();
    await this.#begin(ownerId, mark, bytes);
    failpoint('record.announced');
    await begin().catch(async (error: unknown) => {
      await this.#end(ownerId, mark, 0);
      throw error;
    });
    try {
      const written = await write();
      failpoint('record.written');
      await this.#end(ownerId, mark, written === undefined ? 0 : bytes);
      return written;
    } catch (error) {
      // A write of unknown outcome stays announced, until the job counts the rows.
      if (isDomainError(error) && error.code !== 'store_unavailable') await this.#end(ownerId, mark, 0);
      throw error;
    }
  }

  /**
   * Counts the records of an owner whose records were never counted. Does nothing without a quota.
   */
  async ensureCounted(ownerId: string): Promise<void> {
    if (this.usage.quota === Infinity || this.#count === undefined) return;
    if ((await this.usage.find(ownerId))?.records !== undefined) return;
    const running = this.#counting.get(ownerId) ?? this.#firstCount(ownerId, this.#count);
    this.#counting.set(ownerId, running);
    await running;
  }

  /**
   * For the job: brings announced writes of dead processes to an end. Without a quota it takes the
   * sums away, which nobody keeps.
   */
  async sweep(hold: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const isOff = this.usage.quota === Infinity;
    const now = this.clock.now();
    const looked = new Set<string>();
    for await (const row of scanRows(this.usage.rows, 'records_due', [])) {
      const { _id, records, records_due = Infinity } = row;
      // In the order of the index: none behind it is due, or has a mark that is old enough to be
      // watched.
      if (!isOff && records_due > now + DEAD_AFTER) break;
      await hold();
      if (isOff) await this.#forget(_id);
      else if (this.#isDue(_id, records, looked)) await this.#countAgain(_id);
    }
    this.#watch.keepOnly(looked);
  }

  /**
   * Whether no write goes on, and either one has died or the last count is old. The ids of the
   * marks are added to `looked`.
   */
  #isDue(ownerId: string, records: CountedRecords | undefined, looked: Set<string>): boolean {
    if (records === undefined) return false;
    const marks = Object.keys(records.marks).map((mark) => `${ownerId} ${mark}`);
    const ages = marks.map((id) => this.#watch.ms(id, ''));
    for (const id of marks) looked.add(id);
    if (ages.some((ms) => ms < DEAD_AFTER)) return false;
    return ages.length > 0 || records.counted_at + COUNT_AGAIN_AFTER <= this.clock.now();
  }

  async #firstCount(ownerId: string, count: CountRecords): Promise<void> {
    try {
      const bytes = await count(ownerId);
      await this.usage.changes.make(ownerId, (usage) => {
        if (usage?.records !== undefined) return usage;
        return this.#with(usage ?? fresh(ownerId), { bytes, changes: 0, marks: {}, counted_at: this.clock.now() });
      });
    } finally {
      this.#counting.delete(ownerId);
    }
  }

  async #countAgain(ownerId: string): Promise<void> {
    const now = this.clock.now();
    const seen = (await this.usage.find(ownerId))?.records;
    if (seen === undefined || this.#count === undefined) return;
    // A write has begun since.
    if (!this.#isDue(ownerId, seen, new Set())) return;
    const bytes = await this.#count(ownerId);
    await this.usage.changes.make(ownerId, (usage) => {
      // A write began or ended meanwhile: the walk may have seen it or not.
      if (usage?.records?.changes !== seen.changes) return usage;
      return this.#with(usage, { bytes, changes: seen.changes + 1, marks: {}, counted_at: now });
    });
  }

  async #forget(ownerId: string): Promise<void> {
    await this.usage.changes.make(ownerId, (usage) => {
      if (usage === undefined) return undefined;
      const { records: _, records_due: __, ...rest } = usage;
      return isEmptyUsage(rest) ? undefined : rest;
    });
  }

  async #begin(ownerId: string, mark: string, bytes: number): Promise<void> {
    const added = Math.max(0, bytes);
    await this.usage.changes.make(ownerId, (found) => {
      const usage = found ?? fresh(ownerId);
      if (added > 0) this.usage.requireRoom(usage, added, 'record');
      // Without a row there was nothing to count a moment ago.
      const records = usage.records ?? { bytes: 0, changes: 0, marks: {}, counted_at: this.clock.now() };
      return this.#with(usage, {
        ...records,
        bytes: records.bytes + added,
        changes: records.changes + 1,
        marks: { ...records.marks, [mark]: { bytes: added, at: this.clock.now() } },
      });
    });
  }

  /** Never throws: what happened has happened, and an announcement that stays is for the job. */
  async #end(ownerId: string, mark: string, bytes: number): Promise<void> {
    try {
      await this.usage.changes.make(ownerId, (usage) => {
        if (usage?.records === undefined) return usage;
        const { [mark]: begun, ...marks } = usage.records.marks;
        const changes = usage.records.changes + 1;
        // This process slept until the job gave it up: the rows are counted again.
        if (begun === undefined) return this.#with(usage, { ...usage.records, changes, counted_at: 0 });
        const sum = Math.max(0, usage.records.bytes - begun.bytes + bytes);
        return this.#with(usage, { ...usage.records, bytes: sum, changes, marks });
      });
    } catch {
      this.#logger.warn('the end of a write stays uncounted until the next count of its owner');
    }
  }

  /** A sum of nothing is no row. */
  #with(usage: FileUsageDoc, records: CountedRecords): FileUsageDoc | undefined {
    const oldest = Math.min(...Object.values(records.marks).map(({ at }) => at));
    const records_due = Math.min(records.counted_at + COUNT_AGAIN_AFTER, oldest + DEAD_AFTER);
    const changed = { ...usage, records, records_due };
    return isEmptyUsage(changed) ? undefined : changed;
  }
}

const fresh = (ownerId: string): FileUsageDoc => ({ _id: ownerId, rev: 0, bytes: 0, marks: {} });

const nothing = (): Promise<void> => Promise.resolve();
