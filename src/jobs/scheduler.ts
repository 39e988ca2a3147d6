/** Periodic work. A DI token; its one adapter is LeasedScheduler. */
export abstract class Scheduler {
  /**
   * Runs `task` about every `intervalMs`, and soon after the first start, on one replica at a time. A run that fails is logged and
   * tried again at the next turn. `name` is stored: it stays the same from release to release.
   */
  abstract every(name: string, intervalMs: number, task: () => Promise<void>): void;
}
