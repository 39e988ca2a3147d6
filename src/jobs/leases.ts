import { Clock, Unchanged } from '../kernel';
import { Collection, Doc } from '../store';
import { HeldLease } from './held-lease';
import { isGone, newLeaseOwner } from './lease-owner';

/** A row that one process at a time works on. */
export interface Leased extends Doc {
  /** Another text for each time that the lease is taken (lease-owner.ts); empty while nobody has it. */
  readonly lease_owner: string;
  /** For releases that judge a lease by the time of day. This one does not read it: clocks of replicas differ. */
  readonly lease_until: number;
}

export interface LeaseTimings {
  /** How long a lease lasts without being renewed: 15 s at most. */
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How often this process looks for jobs that nobody runs. */
  readonly pollMs: number;
}

export const LEASE_TIMINGS: LeaseTimings = { leaseMs: 12_000, renewMs: 4_000, pollMs: 2_000 };

/**
 * The leases that this process takes and holds on rows of one collection. A holder writes its row again and again; a lease is free where
 * its row stays as it is for as long as a lease lasts, measured here by a clock that never goes back. No two clocks are compared.
 */
export class Leases<T extends Leased> {
  readonly #process = newLeaseOwner();
  readonly #held = new Set<HeldLease<T>>();
  /** Texts of leases whose first write is under way: their rows may be seen before that write has answered. */
  readonly #taking = new Set<string>();
  readonly #watch: Unchanged;
  #taken = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly rows: Collection<T>,
    private readonly clock: Clock,
    /** Asked at each use: a subclass of the owner may set them after this is made. */
    private readonly timings: () => LeaseTimings,
  ) {
    this.#watch = new Unchanged(clock);
  }

  /** Stores a row by `write` with what it says of a lease that is taken by it. Undefined where `write` stores nothing. */
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

  /** Whether nobody holds the lease, as far as this process has seen. A first look at a living holder's row only begins the watch. */
  isFree(row: T): boolean {
    if (row.lease_owner === '' || isGone(row.lease_owner, this.#process)) return true;
    // Its own, and not held any more: the write that gave it back did not arrive.
    if (row.lease_owner.startsWith(`${this.#process}/`)) return !this.#isOurs(row.lease_owner);
    return this.#watch.ms(row._id, `${row.lease_owner} ${row.rev}`) >= this.timings().leaseMs;
  }

  /** Ends the watch on rows that are not among `ids`: they have ended. */
  watchOnly(ids: ReadonlySet<string>): void {
    this.#watch.keepOnly(ids);
  }

  /** Takes the lease by one conditional write of `changed`; undefined where another writer came first. */
  take(row: T, changed: Partial<T> = {}): Promise<HeldLease<T> | undefined> {
    return this.takeBy((lease) => this.rows.replace({ ...row, ...changed, ...lease }));
  }

  /** The lease of a row that was stored by a write that began at `since`. */
  #hold(row: T, since: number): HeldLease<T> {
    const held = new HeldLease(this.rows, this.clock, this.timings().leaseMs, { row, since });
    this.#watch.forget(row._id);
    this.#held.add(held);
    held.signal.addEventListener('abort', () => this.#leave(held), { once: true });
    this.#timer ??= setInterval(() => this.#renew(), this.timings().renewMs).unref();
    return held;
  }

  /** One pass over all that are held. */
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
