import { Doc, defineCollection } from '../store/definition';

/** One Idempotency-Key of one user, from the first request with it until a day later. */
export interface IdempotencyKeyDoc extends Doc {
  readonly user_id: string;
  /** HMAC of the request, so that the row tells nothing about a body whose values are easy to guess. */
  readonly fingerprint: string;
  readonly state: 'running' | 'done';
  /** Until when a running request holds the key; one whose process died gives it back then. */
  readonly claimed_until: number;
  /** The answer, sealed under the user's key (base64); absent while running and where the answer held a secret. */
  readonly answer?: string;
  readonly expires_at: number;
}

export const idempotencyKeyCollection = defineCollection<IdempotencyKeyDoc>({
  name: 'idempotency_keys',
  fields: {
    user_id: 'string',
    fingerprint: 'string',
    state: 'string',
    claimed_until: 'time',
    answer: 'string',
    expires_at: 'time',
  },
  plaintext: ['user_id', 'state', 'claimed_until', 'expires_at'],
  indexes: { user: { fields: ['user_id'] } },
  expiry: 'expires_at',
  reusesIds: true,
  tampered: 'absent',
});
