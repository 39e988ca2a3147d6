import { SECOND } from '../../kernel';
import { Reservation } from '../user.collection';

/** A reservation of this age belongs to a dead process or to a check that hangs. */
const DEAD_AFTER_MS = 10 * SECOND;

/**
 * True if `at` lies within `span` of now, in either direction. If the wall clock is set back by
 * more than the span, older counts lock nobody out.
 */
export const within = (at: number, now: number, span: number): boolean => Math.abs(now - at) < span;

export interface Flight {
  /** Attempts that are being checked. */
  readonly live: readonly Reservation[];
  /** Attempts of dead processes. They count as failures at the time when they began. */
  readonly dead: readonly Reservation[];
}

export const inFlight = (reservations: readonly Reservation[], now: number): Flight => ({
  live: reservations.filter(({ at }) => within(at, now, DEAD_AFTER_MS)),
  dead: reservations.filter(({ at }) => !within(at, now, DEAD_AFTER_MS)),
});

export const without = (reservations: readonly Reservation[], id: string): readonly Reservation[] =>
  reservations.filter((reservation) => reservation.id !== id);
