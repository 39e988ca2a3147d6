import { BeforeApplicationShutdown, Injectable, Logger, OnApplicationBootstrap, Optional } from '@nestjs/common';
import { Clock, hastened, SECOND } from '../kernel';
import { Metrics } from '../observability';
import { Collection, DuplicateKey, Store } from '../store';
import { HeldLease } from './held-lease';
import { TaskDoc, tasksCollection } from './jobs.collection';
import { LEASE_TIMINGS, Leases, LeaseTimings } from './leases';
import { faultName, pauseFor } from './retry';
import { Scheduler, Turn } from './scheduler';

interface Task {
  readonly name: string;
  readonly intervalMs: number;
  readonly run: (turn: Turn) => Promise<void>;
}

const STOP_PATIENCE = 5 * SECOND;
const SHORTEST_WAIT = 50;
/**
 * Maximum wait after a failure, because an outage of the store or Vault often ends before an hourly
 * task is due.
 */
const AFTER_FAULT = 30 * SECOND;

@Injectable()
export class LeasedScheduler extends Scheduler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  protected readonly timings: LeaseTimings = LEASE_TIMINGS;
  readonly #logger = new Logger('Scheduler');
  readonly #rows: Collection<TaskDoc>;
  readonly #leases: Leases<TaskDoc>;
  readonly #tasks = new Map<string, Task>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #turns = new Set<Promise<void>>();
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(
    store: Store,
    private readonly clock: Clock,
    @Optional() private readonly metrics?: Metrics,
  ) {
    super();
    this.#rows = store.collection(tasksCollection);
    this.#leases = new Leases(this.#rows, clock, () => this.timings);
  }

  every(name: string, intervalMs: number, run: (turn: Turn) => Promise<void>): void {
    if (this.#tasks.has(name)) throw new TypeError(`two periodic tasks are called ${name}`);
    const task = { name, intervalMs: hastened(intervalMs), run };
    this.#tasks.set(name, task);
    this.metrics?.tasks.watch(name);
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
      this.metrics?.tasks.count(task.name, 'failed');
      wait = Math.min(wait, AFTER_FAULT);
    }
    this.#arm(task, wait);
  }

  /**
   * Runs the task if it is due and no other process runs it. Returns the milliseconds until the
   * next check.
   */
  async #attempt(task: Task): Promise<number> {
    const row = await this.#row(task);
    const now = this.clock.now();
    // A next run beyond one interval comes from a clock that was set back; the task runs at once.
    if (row.next_at > now && row.next_at <= now + task.intervalMs) return row.next_at - now;
    // A held lease is checked again as soon as it can have expired.
    if (!this.#leases.isFree(row)) return Math.min(task.intervalMs, this.timings.leaseMs);
    const lease = await this.#leases.take(row, { next_at: now + task.intervalMs });
    if (lease !== undefined) await this.#run(task, lease);
    return task.intervalMs;
  }

  /** Releases the lease if it is still held; if that fails, the lease expires. */
  async #run(task: Task, lease: HeldLease<TaskDoc>): Promise<void> {
    try {
      await task.run({ signal: lease.signal, assertLease: () => lease.hold() });
      this.metrics?.tasks.count(task.name, 'done');
    } catch (error) {
      const next_at = this.clock.now() + Math.min(task.intervalMs, AFTER_FAULT);
      await lease.end((row) => ({ ...row, next_at })).catch(() => lease.abandon());
      throw error;
    }
    await lease.end((row) => row).catch(() => lease.abandon());
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
}
