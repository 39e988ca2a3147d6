/**
 * Maximum batch of a bulk compare-and-set, so that one call neither blocks LMDB's writer nor
 * exceeds a message.
 */
const MAX_BATCH = 1_000;

export function checkBatch(docs: readonly unknown[]): void {
  if (docs.length > MAX_BATCH) throw new TypeError(`at most ${MAX_BATCH} documents at once, got ${docs.length}`);
}

export function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new TypeError(`a limit is a whole number from 1 on, got ${limit}`);
}
