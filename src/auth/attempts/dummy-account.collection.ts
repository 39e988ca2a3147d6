import { Reservation } from '../../users';
import { Doc, defineCollection, plain } from '../../store';

/**
 * Attempts on an unknown name, counted like those on an account. `_id` is an HMAC of the name,
 * because users sometimes type their password into the wrong field.
 */
export interface DummyAccountDoc extends Doc {
  readonly failed_attempts: number;
  readonly last_failed_attempt_time?: number;
  readonly attempts_in_flight: readonly Reservation[];
  readonly expires_at: number;
}

export const decoysCollection = defineCollection<DummyAccountDoc>({
  name: 'login_decoys',
  fields: {
    failed_attempts: plain.number,
    last_failed_attempt_time: plain.time,
    attempts_in_flight: plain.json,
    expires_at: plain.time,
  },
  expiry: 'expires_at',
  reusesIds: true,
  tampered: 'absent',
});
