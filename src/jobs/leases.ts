import { Clock, Unchanged } from '../kernel';
import { Collection } from '../store';
import { HeldLease, Leased } from './held-lease';
import { isGone, newLeaseOwner } from './lease-owner';

export interface LeaseTimings {
  /** Lifetime of a lease without a renewal: 15 s at most. */
  readonly leaseMs: number;
  readonly renewMs: number;
  /** Interval at which this process polls for jobs without a holder. */
  readonly pollMs: number;
}

export const LEASE_TIMINGS: LeaseTimings = { leaseMs: 12_000, renewMs: 4_000, pollMs: 2_000 };

/**
 * The leases that this process holds on rows of one collection.
 * A holder rewrites its row regularly. A lease is free when its row stays unchanged for the lease's
 * lifetime, measured by this process's monotonic clock. No two clocks are compared.
 */
export class Leases<T extends Leased> {
  readonly #process = newLeaseOwner();
  readonly #held = new Set<HeldLease<T>>();
  /**
   * Owner texts of leases with a pending first write; their rows may be visible before that write
   * returns.
   */
  readonly #taking = new Set<string>();
  readonly #watch: Unchanged;
  #taken = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly rows: Collection<T>,
    private readonly clock: Clock,
    /** Read at each use, because a subclass of the owner may change the timings later. */
    private readonly timings: () => LeaseTimings,
  ) {
    this.#watch = new Unchanged(clock);
  }

  /**
   * Takes a lease in the same write that stores the row. Returns undefined if `write` stores
   * nothing.
   */
  async takeBy(write: (lease: LeaseFields) => Promise<T | undefined>): Promise<HeldLease<T> | undefined> {
    this.#taken += 1;
    const lease_owner = `${this.#process}/${this.#taken}`;
    const since = this.clock.elapsed();
    this.#taking.add(lease_owner);
    try {
      const row = await write({ lease_owner, lease_until: this.clock.now() + this.timings().leaseMs });
      return row && this.#hold(row, since);
    } finally {
      this.#taking.delete(lease_owner);
    }
  }

  /**
   * True if, as far as this process has observed, the lease has no holder. The first check of a
   * live holder's row only starts the observation.
   */
  isFree(row: T): boolean {
    if (row.lease_owner === '' || isGone(row.lease_owner, this.#process)) return true;
    // A lease of this process that it no longer holds: the write that released it failed.
    if (row.lease_owner.startsWith(`${this.#process}/`)) return !this.#isOurs(row.lease_owner);
    return this.#watch.ms(row._id, `${row.lease_owner} ${row.rev}`) >= this.timings().leaseMs;
  }

  /** Stops the observation of all rows except `ids`, because the others have ended. */
  watchOnly(ids: ReadonlySet<string>): void {
    this.#watch.keepOnly(ids);
  }

  /** Takes the lease by one compare-and-set of `changed`; undefined if another writer was first. */
  take(row: T, changed: Partial<T> = {}): Promise<HeldLease<T> | undefined> {
    return this.takeBy((lease) => this.rows.replace({ ...row, ...changed, ...lease }));
  }

  /** Registers the lease of a row whose write began at `since`. */
  #hold(row: T, since: number): HeldLease<T> {
    const held = new HeldLease(this.rows, this.clock, this.timings().leaseMs, { row, since });
    this.#watch.forget(row._id);
    this.#held.add(held);
    held.signal.addEventListener('abort', () => this.#leave(held), { once: true });
    this.#timer ??= setInterval(() => this.#renew(), this.timings().renewMs).unref();
    return held;
  }

  /** Renews all held leases once. */
  #renew(): void {
    for (const held of this.#held) void held.renew(this.timings().renewMs);
  }

  #isOurs(owner: string): boolean {
    return this.#taking.has(owner) || [...this.#held].some(({ row }) => row.lease_owner === owner);
  }

  #leave(held: HeldLease<T>): void {
    this.#held.delete(held);
    if (this.#held.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

type LeaseFields = Pick<Leased, 'lease_owner' | 'lease_until'>;
