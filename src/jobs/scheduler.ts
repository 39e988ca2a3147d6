/** One run of a task, for as long as this process holds its lease. */
export interface Turn {
  /** Aborted when the lease is lost: another replica may run the task by now. */
  readonly signal: AbortSignal;
  /** Asked before a write that must not be done by two: reads the row. @throws LeaseLost */
  assertLease(): Promise<void>;
}

/** Periodic work. A DI token; its one adapter is LeasedScheduler. */
export abstract class Scheduler {
  /**
   * Runs `task` about every `intervalMs`, and soon after the first start, on one replica at a time. A run that fails is logged and
   * tried again at the next turn. `name` is stored: it stays the same from release to release.
   */
  abstract every(name: string, intervalMs: number, task: (turn: Turn) => Promise<void>): void;
}
