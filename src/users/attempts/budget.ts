import { MINUTE, SECOND } from '../../kernel';
import { Reservation } from '../user.collection';
import { AttemptLimiter } from './attempt-limiter';
import { inFlight, within, without } from './reservations';

/** Failures in a sliding window. */
export interface BudgetCounts {
  readonly failures: readonly number[];
  readonly reservations: readonly Reservation[];
}

export interface BudgetLimits {
  readonly limit: number;
  readonly windowMs: number;
}

/**
 * Shared by all second factors of an account: neither a new login nor a new code resets the count.
 */
export const SECOND_FACTOR_LIMITS: BudgetLimits = { limit: 10, windowMs: 15 * MINUTE };

/**
 * Allows at most `limit` failures in any window, then requires a wait until the oldest one leaves
 * the window.
 */
export function budget({ limit, windowMs }: BudgetLimits): AttemptLimiter<BudgetCounts> {
  const standing = (counts: BudgetCounts, now: number) => {
    const { live, dead } = inFlight(counts.reservations, now);
    const times = [...counts.failures, ...dead.map(({ at }) => at)];
    return { failures: times.filter((at) => within(at, now, windowMs)).sort((a, b) => a - b), live };
  };
  return {
    admit(counts, id, now) {
      const { failures, live } = standing(counts, now);
      const oldest = failures.at(-limit);
      if (oldest !== undefined) {
        return { verdict: 'refused', retryAfterMs: Math.min(oldest + windowMs - now, windowMs) };
      }
      if (failures.length + live.length >= limit) {
        return { verdict: 'wait', retryAfterMs: 2 * SECOND, behind: live.map((reservation) => reservation.id) };
      }
      return { verdict: 'admitted', counts: { failures, reservations: [...live, { id, at: now }] } };
    },

    failed(counts, id, now) {
      if (!counts.reservations.some((reservation) => reservation.id === id)) return counts;
      const { failures, live } = standing({ ...counts, reservations: without(counts.reservations, id) }, now);
      return { failures: [...failures, now], reservations: live };
    },

    released: (counts, id) => ({ ...counts, reservations: without(counts.reservations, id) }),

    cleared: (counts, id, now) => ({
      failures: [],
      reservations: without(inFlight(counts.reservations, now).live, id),
    }),
  };
}
