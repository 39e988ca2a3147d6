import { MINUTE, SECOND } from '../../kernel';
import { Reservation, UserDoc } from '../user.collection';
import { AttemptLimiter } from './attempt-limiter';
import { inFlight, within, without } from './reservations';

/** Consecutive wrong passwords of one account, or of one unknown name. */
export interface LockoutCounts {
  readonly failures: number;
  readonly lastFailure: number | undefined;
  readonly reservations: readonly Reservation[];
}

export const NO_FAILURES: LockoutCounts = { failures: 0, lastFailure: undefined, reservations: [] };
export const LOCKOUT_LIMIT = 5;
export const LOCKOUT_MS = 15 * MINUTE;

interface Standing {
  readonly failures: number;
  readonly lastFailure: number | undefined;
  readonly live: readonly Reservation[];
}

/**
 * Returns the current counts. Failures expire 15 minutes after the last one.
 * A reservation whose process died counts as a failure, but does not move the time of the last
 * failure: a crash must not extend a lockout.
 */
function standing({ failures, lastFailure, reservations }: LockoutCounts, now: number): Standing {
  const { live, dead } = inFlight(reservations, now);
  const lost = dead.filter(({ at }) => within(at, now, LOCKOUT_MS));
  if (lastFailure !== undefined && within(lastFailure, now, LOCKOUT_MS)) {
    return { failures: failures + lost.length, lastFailure, live };
  }
  const lastLost = lost.length === 0 ? undefined : Math.max(...lost.map(({ at }) => at));
  return { failures: lost.length, lastFailure: lastLost, live };
}

const folded = ({ failures, lastFailure }: Standing, reservations: readonly Reservation[]): LockoutCounts => ({
  failures,
  lastFailure,
  reservations,
});

/**
 * After 5 consecutive failures, rejects every attempt, even with the correct password, for 15
 * minutes from the last failure.
 */
export const lockout: AttemptLimiter<LockoutCounts> = {
  admit(counts, id, now) {
    const now_ = standing(counts, now);
    if (now_.failures >= LOCKOUT_LIMIT) {
      const until = (now_.lastFailure ?? now) + LOCKOUT_MS;
      return { verdict: 'refused', retryAfterMs: Math.min(until - now, LOCKOUT_MS) };
    }
    if (now_.failures + now_.live.length >= LOCKOUT_LIMIT) {
      return { verdict: 'wait', retryAfterMs: 2 * SECOND, behind: now_.live.map((reservation) => reservation.id) };
    }
    return { verdict: 'admitted', counts: folded(now_, [...now_.live, { id, at: now }]) };
  },

  failed(counts, id, now) {
    // The reservation is missing: this slow attempt was taken for dead and is already counted.
    if (!counts.reservations.some((reservation) => reservation.id === id)) return counts;
    const before = standing({ ...counts, reservations: without(counts.reservations, id) }, now);
    return { failures: before.failures + 1, lastFailure: now, reservations: before.live };
  },

  released: (counts, id) => ({ ...counts, reservations: without(counts.reservations, id) }),

  cleared: (counts, id, now) => ({
    failures: 0,
    lastFailure: undefined,
    reservations: without(inFlight(counts.reservations, now).live, id),
  }),
};

/** A row with such counts: of an account, of an unknown name, or of a link. */
type LockoutRow = Pick<UserDoc, 'failed_attempts' | 'last_failed_attempt_time' | 'attempts_in_flight'>;

export const lockoutCounts = (row: LockoutRow): LockoutCounts => ({
  failures: row.failed_attempts,
  lastFailure: row.last_failed_attempt_time,
  reservations: row.attempts_in_flight,
});

export function withLockoutCounts<Row extends LockoutRow>(row: Row, counts: LockoutCounts): Row {
  const { last_failed_attempt_time: _former, ...rest } = row;
  return {
    ...rest,
    failed_attempts: counts.failures,
    attempts_in_flight: counts.reservations,
    ...(counts.lastFailure === undefined ? {} : { last_failed_attempt_time: counts.lastFailure }),
  } as Row;
}
