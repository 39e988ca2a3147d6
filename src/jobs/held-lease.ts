import { Clock } from '../kernel';
import type { Collection } from '../store';
import { LeaseLost } from './job';
import type { Leased } from './leases';

interface Taken<T> {
  readonly row: T;
  /** `Clock.elapsed` before the write that took the lease. */
  readonly since: number;
}

/** A row that gave the lease back. */
const FREE = { lease_owner: '', lease_until: 0 } as const;

/**
 * One lease that this process holds. Every write goes through the row's revision and requires the text by which the lease was taken: a
 * holder that slept while another process took it writes nothing any more.
 */
export class HeldLease<T extends Leased> {
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #owner: string;
  #row: T;
  /** By `Clock.elapsed`, from the beginning of the write: no other process can have seen it earlier. */
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

  /** Stores a change and renews the lease by it. @throws LeaseLost */
  async save(change: (row: T) => T): Promise<void> {
    await this.#put((row) => ({ ...change(row), lease_until: this.clock.now() + this.leaseMs }));
  }

  /** Reads the row: whether the lease is this process's still. @throws LeaseLost */
  async hold(): Promise<void> {
    this.#check();
    if (!this.#isOurs(await this.rows.find('_id', this.#row._id))) throw this.#lost();
    this.#check();
  }

  /** Stores the last change and gives the lease back by it. @throws LeaseLost */
  async end(change: (row: T) => T): Promise<void> {
    await this.#put((row) => ({ ...change(row), ...FREE }));
    this.abandon();
  }

  /** Gives the lease back, so that another process has it at once. Another one that has it by now is left alone. */
  async release(): Promise<void> {
    this.abandon();
    await this.#writes;
    if (this.#row.lease_owner === this.#owner) await this.rows.replace({ ...this.#row, ...FREE });
  }

  /** Stops all further writes. */
  abandon(): void {
    this.#abort.abort();
  }

  /** Renews where nothing has been stored for `ageMs`; half of it, so that a pass that comes a little early is not in vain. */
  async renew(ageMs: number): Promise<void> {
    // A slow store is not asked again before it has answered.
    if (this.#renewing || this.clock.elapsed() - this.#since < ageMs / 2) return;
    this.#renewing = true;
    try {
      await this.save((row) => row);
    } catch {
      // A lease that is lost has said so by its signal; a store that is down is asked again at the next pass, until the lease runs out.
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
      // An earlier write may have been stored although it was reported as failed: then the row is still ours, at a newer revision.
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
