import { MINUTE } from '../kernel';

/** Validity of a mailed code, as enforced and as stated in its mail. */
export const CODE_MS = 10 * MINUTE;

/** Remaining minutes of a code, as stated in its mail. */
export const minutesLeft = (expiresAt: number, now: number): number =>
  Math.max(1, Math.min(Math.round((expiresAt - now) / MINUTE), CODE_MS / MINUTE));
