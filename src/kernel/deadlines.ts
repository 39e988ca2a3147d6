let factor = 1;
let speed = 1;

/**
 * Makes every deadline on the store, the blob store and the KMS `by` times as long. For tests that
 * prove something else: a disk that stalls for seconds is no failure there. Called once by main
 * with COFFER_DEADLINE_FACTOR, which config refuses in production.
 */
export function stretchDeadlines(by: number): void {
  factor = by;
}

/**
 * The milliseconds of a deadline in this process. Ask for it at each use, because main sets the
 * factor after all modules are loaded.
 */
export const stretched = (ms: number): number => ms * factor;

/**
 * Makes periodic tasks come `by` times as often: a test that waits for a sweep waits for less.
 * Called once by main, as above.
 */
export function hastenSchedules(by: number): void {
  speed = by;
}

/** The milliseconds between two turns of a periodic task in this process. */
export const hastened = (ms: number): number => ms / speed;
