let factor = 1;

/**
 * Makes every deadline on the store, the blob store and the KMS `by` times as long. For tests that prove something else: a disk that
 * stalls for seconds is no failure there. Called once by main with COFFER_DEADLINE_FACTOR, which config refuses in production.
 */
export function stretchDeadlines(by: number): void {
  factor = by;
}

/** The milliseconds of a deadline in this process. Ask for it at each use, because main sets the factor after all modules are loaded. */
export const stretched = (ms: number): number => ms * factor;
