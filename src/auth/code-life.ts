import { MINUTE } from '../kernel';

/** How long a mailed code is good: what is checked, and what its mail says. */
export const CODE_MS = 10 * MINUTE;

/** Minutes that a code is still good, as its mail says them. */
export const minutesLeft = (expiresAt: number, now: number): number =>
  Math.max(1, Math.min(Math.round((expiresAt - now) / MINUTE), CODE_MS / MINUTE));
