import { DomainError, MINUTE } from '../kernel';

/** Validity of a mailed code, as enforced and as stated in its mail. */
export const CODE_MS = 10 * MINUTE;

/** Remaining minutes of a code, as stated in its mail. */
export const minutesLeft = (expiresAt: number, now: number): number =>
  Math.max(1, Math.min(Math.round((expiresAt - now) / MINUTE), CODE_MS / MINUTE));

/** One error for each kind of wrong code, so that it does not tell which. */
export const wrongCode = (): DomainError =>
  new DomainError('otp_failed', { detail: 'The code is wrong, used or expired.' });
