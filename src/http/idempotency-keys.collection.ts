import { Doc, defineCollection, digest, encrypted, plain } from '../store/definition';

/** One Idempotency-Key of one user, kept for a day after its first request. */
export interface IdempotencyKeyDoc extends Doc {
  readonly user_id: string;
  /** HMAC of the request, so that the row reveals nothing about a body with guessable values. */
  readonly fingerprint: string;
  readonly state: 'running' | 'done';
  /** End of the claim of a running request; a claim of a dead process expires then. */
  readonly claimed_until: number;
  /**
   * The response, encrypted under the user's key (base64); absent while running and if the response
   * held a secret.
   */
  readonly answer?: string;
  readonly expires_at: number;
}

export const idempotencyKeyCollection = defineCollection<IdempotencyKeyDoc>({
  name: 'idempotency_keys',
  fields: {
    user_id: plain.string,
    fingerprint: digest.string,
    state: plain.string,
    claimed_until: plain.time,
    answer: encrypted.string,
    expires_at: plain.time,
  },
  owner: 'user_id',
  indexes: { user: { fields: ['user_id'] } },
  expiry: 'expires_at',
  reusesIds: true,
  tampered: 'absent',
});
