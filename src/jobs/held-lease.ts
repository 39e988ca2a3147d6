import { Clock } from '../kernel';
import type { Collection, Doc } from '../store';

/** A row that only one process at a time works on. */
export interface Leased extends Doc {
  /** A new text for each time the lease is taken (lease-owner.ts); empty if there is no holder. */
  readonly lease_owner: string;
  /**
   * For earlier releases, which compare a lease with the wall clock. This release ignores it,
   * because clocks of replicas differ.
   */
  readonly lease_until: number;
}

/**
 * This process no longer holds the job: it was taken over or paused, or the process stops. Handlers
 * must not catch it.
 */
export class LeaseLost extends Error {
  constructor(readonly jobId: string) {
    super(`job ${jobId} is no longer held here`);
    this.name = 'LeaseLost';
  }
}

interface Taken<T> {
  readonly row: T;
  /** `Clock.elapsed` before the write that took the lease. */
  readonly since: number;
}

/** Fields of a released lease. */
const FREE = { lease_owner: '', lease_until: 0 } as const;

/**
 * A lease that this process holds. Every write is a compare-and-set on the revision and requires
 * the owner text of this lease. A holder that slept while another process took the lease can no
 * longer write.
 */
export class HeldLease<T extends Leased> {
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #owner: string;
  #row: T;
  /** `Clock.elapsed` before the last write: no other process can have seen that write earlier. */
  #since: number;
  #writes: Promise<unknown> = Promise.resolve();
  #renewing = false;

  constructor(
    private readonly rows: Collection<T>,
    private readonly clock: Clock,
    private readonly leaseMs: number,
    { row, since }: Taken<T>,
  ) {
    this.signal = this.#abort.signal;
    this.#row = row;
    this.#owner = row.lease_owner;
    this.#since = since;
  }

  get row(): T {
    return this.#row;
  }

  /**
   * Stores a change and thereby renews the lease.
   * @throws LeaseLost
   */
  async save(change: (row: T) => T): Promise<void> {
    await this.#put((row) => ({ ...change(row), lease_until: this.clock.now() + this.leaseMs }));
  }

  /**
   * Reads the row and verifies that this process still holds the lease.
   * @throws LeaseLost
   */
  async hold(): Promise<void> {
    this.#check();
    if (!this.#isOurs(await this.rows.find('_id', this.#row._id))) throw this.#lost();
    this.#check();
  }

  /**
   * Stores the last change and releases the lease in the same write.
   * @throws LeaseLost
   */
  async end(change: (row: T) => T): Promise<void> {
    await this.#put((row) => ({ ...change(row), ...FREE }));
    this.abandon();
  }

  /**
   * Releases the lease, so that another process can take it at once. Does nothing if another
   * process holds it already.
   */
  async release(): Promise<void> {
    this.abandon();
    await this.#writes;
    if (this.#row.lease_owner === this.#owner) await this.rows.replace({ ...this.#row, ...FREE });
  }

  /** Prevents all further writes. */
  abandon(): void {
    this.#abort.abort();
  }

  /**
   * Renews the lease if nothing was stored for half of `ageMs`. Half, so that a pass that runs
   * slightly early is not wasted.
   */
  async renew(ageMs: number): Promise<void> {
    // Does not query a slow store again before it has responded.
    if (this.#renewing || this.clock.elapsed() - this.#since < ageMs / 2) return;
    this.#renewing = true;
    try {
      await this.save((row) => row);
    } catch {
      // A lost lease has already aborted the signal. If the store is down, the next pass retries
      // until the lease expires.
    } finally {
      this.#renewing = false;
    }
  }

  #put(change: (row: T) => T): Promise<void> {
    const write = this.#writes.then(() => this.#replace(change));
    this.#writes = write.catch(() => undefined);
    return write;
  }

  async #replace(change: (row: T) => T): Promise<void> {
    for (;;) {
      this.#check();
      const since = this.clock.elapsed();
      const stored = await this.rows.replace(change(this.#row));
      if (stored !== undefined) {
        [this.#row, this.#since] = [stored, since];
        return;
      }
      // An earlier write may be stored although it was reported as failed; the row is then still
      // ours at a newer revision.
      const current = await this.rows.find('_id', this.#row._id);
      if (!this.#isOurs(current)) throw this.#lost();
      this.#row = current;
    }
  }

  #isOurs(row: T | undefined): row is T {
    return row?.lease_owner === this.#owner;
  }

  #check(): void {
    if (this.signal.aborted) throw new LeaseLost(this.#row._id);
    if (this.clock.elapsed() - this.#since >= this.leaseMs) throw this.#lost();
  }

  #lost(): LeaseLost {
    this.abandon();
    return new LeaseLost(this.#row._id);
  }
}
