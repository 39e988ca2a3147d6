import { BeforeApplicationShutdown, Injectable, Logger, OnApplicationBootstrap } from '@nestjs/common';
import { Clock, SECOND } from '../kernel';
import { Collection, DuplicateKey, Store, update } from '../store';
import { LEASE_TIMINGS } from './held-job';
import { TaskDoc, tasksCollection } from './jobs.collection';
import { isGone, newLeaseOwner } from './lease-owner';
import { faultName, pauseFor } from './retry';
import { Scheduler } from './scheduler';

interface Task {
  readonly name: string;
  readonly intervalMs: number;
  readonly run: () => Promise<void>;
}

type Lease = Pick<TaskDoc, 'lease_owner' | 'lease_until'>;

const STOP_PATIENCE = 5 * SECOND;
const SHORTEST_WAIT = 50;
/** A store or Vault that was away is back sooner than an hourly task comes round. */
const AFTER_FAULT = 30 * SECOND;

@Injectable()
export class LeasedScheduler extends Scheduler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Scheduler');
  readonly #rows: Collection<TaskDoc>;
  readonly #owner = newLeaseOwner();
  readonly #tasks = new Map<string, Task>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #turns = new Set<Promise<void>>();
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(
    store: Store,
    private readonly clock: Clock,
  ) {
    super();
    this.#rows = store.collection(tasksCollection);
  }

  every(name: string, intervalMs: number, run: () => Promise<void>): void {
    if (this.#tasks.has(name)) throw new TypeError(`two periodic tasks are called ${name}`);
    const task = { name, intervalMs, run };
    this.#tasks.set(name, task);
    if (this.#state === 'started') this.#arm(task, SHORTEST_WAIT);
  }

  onApplicationBootstrap(): void {
    this.#state = 'started';
    for (const task of this.#tasks.values()) this.#arm(task, SHORTEST_WAIT);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#state = 'stopped';
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.race([Promise.allSettled(this.#turns), pauseFor(STOP_PATIENCE)]);
  }

  #arm(task: Task, waitMs: number): void {
    if (this.#state !== 'started') return;
    const start = (): void => {
      const turn = this.#turn(task).finally(() => this.#turns.delete(turn));
      this.#turns.add(turn);
    };
    this.#timers.set(task.name, setTimeout(start, Math.max(SHORTEST_WAIT, waitMs)).unref());
  }

  async #turn(task: Task): Promise<void> {
    let wait = task.intervalMs;
    try {
      wait = await this.#attempt(task);
    } catch (error) {
      this.#logger.warn(`task ${task.name} failed: ${faultName(error)}`);
      wait = Math.min(wait, AFTER_FAULT);
    }
    this.#arm(task, wait);
  }

  /** Runs the task if it is due and nobody else runs it; returns the milliseconds until it is worth another look. */
  async #attempt(task: Task): Promise<number> {
    const row = await this.#row(task);
    const now = this.clock.now();
    // A time of next run beyond one interval comes from a clock that was set back: it does not stop the task.
    if (row.next_at > now && row.next_at <= now + task.intervalMs) return row.next_at - now;
    if (row.lease_until > now && !isGone(row.lease_owner, this.#owner))
      return Math.min(task.intervalMs, row.lease_until - now);
    const taken = await this.#rows.replace({ ...row, ...this.#lease(), next_at: now + task.intervalMs });
    if (taken !== undefined) await this.#run(task);
    return task.intervalMs;
  }

  async #run(task: Task): Promise<void> {
    const renewal = setInterval(() => void this.#keep(task.name, this.#lease()), LEASE_TIMINGS.renewMs).unref();
    const free = { lease_owner: '', lease_until: 0 };
    try {
      await task.run();
      clearInterval(renewal);
      await this.#keep(task.name, free);
    } catch (error) {
      clearInterval(renewal);
      const next_at = this.clock.now() + Math.min(task.intervalMs, AFTER_FAULT);
      await this.#keep(task.name, { ...free, next_at });
      throw error;
    }
  }

  async #row(task: Task): Promise<TaskDoc> {
    const row = await this.#rows.find('_id', task.name);
    if (row !== undefined) return row;
    try {
      return await this.#rows.insert({ _id: task.name, lease_owner: '', lease_until: 0, next_at: 0 });
    } catch (error) {
      if (error instanceof DuplicateKey) return this.#row(task);
      throw error;
    }
  }

  #lease(): Lease {
    return { lease_owner: this.#owner, lease_until: this.clock.now() + LEASE_TIMINGS.leaseMs };
  }

  /** Renews or gives back a lease that is still ours; where it cannot, the lease runs out by itself. */
  async #keep(name: string, lease: Lease & { readonly next_at?: number }): Promise<void> {
    const change = (row: TaskDoc) => (row.lease_owner === this.#owner ? { ...row, ...lease } : undefined);
    await update(this.#rows, name, change).catch(() => undefined);
  }
}
