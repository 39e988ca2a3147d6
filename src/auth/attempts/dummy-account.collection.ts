import { Reservation } from '../../users';
import { Doc, defineCollection } from '../../store';

/**
 * Attempts on a name that does not exist, counted as on one that does. `_id` is an HMAC of the name: what people type into the wrong
 * field (their password) is not kept.
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
    failed_attempts: 'number',
    last_failed_attempt_time: 'time',
    attempts_in_flight: 'json',
    expires_at: 'time',
  },
  plaintext: ['failed_attempts', 'last_failed_attempt_time', 'attempts_in_flight', 'expires_at'],
  expiry: 'expires_at',
  reusesIds: true,
  tampered: 'absent',
});
