import { SECOND } from '../../kernel';
import { Reservation } from '../user.collection';

/** A reservation this old has lost its process, or waits behind a check that will not come to an end. */
const DEAD_AFTER_MS = 10 * SECOND;

/**
 * Whether something at `at` lies within `span` of now. In both directions: where the wall clock went back by more than the span, what
 * was stored under the other time does not lock anybody out for the difference.
 */
export const within = (at: number, now: number, span: number): boolean => Math.abs(now - at) < span;

export interface Flight {
  /** Being checked. */
  readonly live: readonly Reservation[];
  /** Their process died: they count as failures from now on, as of the time when they began. */
  readonly dead: readonly Reservation[];
}

export const inFlight = (reservations: readonly Reservation[], now: number): Flight => ({
  live: reservations.filter(({ at }) => within(at, now, DEAD_AFTER_MS)),
  dead: reservations.filter(({ at }) => !within(at, now, DEAD_AFTER_MS)),
});

export const without = (reservations: readonly Reservation[], id: string): readonly Reservation[] =>
  reservations.filter((reservation) => reservation.id !== id);
