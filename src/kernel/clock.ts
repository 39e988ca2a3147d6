/**
 * Wall-clock time in milliseconds since the epoch. A port, so that tests move time instead of
 * waiting for it.
 */
export abstract class Clock {
  abstract now(): number;

  /**
   * Milliseconds that never go back and never jump: for how long something lasts within this
   * process. They say nothing elsewhere.
   */
  elapsed(): number {
    return performance.now();
  }
}

export class SystemClock extends Clock {
  now(): number {
    return Date.now();
  }
}

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** ISO 8601 in UTC, the only form in which a time leaves Coffer. */
export const isoTime = (ms: number): string => new Date(ms).toISOString();
