/** One run of a task while this process holds its lease. */
export interface Turn {
  /** Aborted when the lease is lost: another replica may run the task by now. */
  readonly signal: AbortSignal;
  /**
   * Call before a write that only one process may do: reads the row.
   * @throws LeaseLost
   */
  assertLease(): Promise<void>;
}

/** Periodic tasks. A DI token; LeasedScheduler implements it. */
export abstract class Scheduler {
  /**
   * Runs `task` about every `intervalMs`, and soon after the first start, on one replica at a time.
   * A failed run is logged and retried at the next turn. `name` is stored, so it must not change
   * between releases.
   */
  abstract every(name: string, intervalMs: number, task: (turn: Turn) => Promise<void>): void;
}
