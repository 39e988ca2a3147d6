import { BudgetLimits, within } from '../../users';

export interface Allowance {
  /** Milliseconds until one more is allowed; 0 if it is allowed now. */
  readonly waitMs: number;
  /** The times to store, including this one if it is allowed. */
  readonly times: readonly number[];
}

/** Allows at most `limit` in any window; `times` are the earlier ones. */
export function allowance(times: readonly number[], { limit, windowMs }: BudgetLimits, now: number): Allowance {
  const recent = times.filter((at) => within(at, now, windowMs));
  const oldest = recent.at(-limit);
  if (oldest !== undefined) return { waitMs: Math.max(1, Math.min(oldest + windowMs - now, windowMs)), times: recent };
  return { waitMs: 0, times: [...recent, now] };
}
