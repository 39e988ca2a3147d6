import { Doc, defineCollection, digest, plain } from '../../store';

/**
 * A password reset that waits for its code. By mail: `_id` is an HMAC of the address, whether it
 * has an account or not, and the code is derived. By an operator: `_id` is the account's, and the
 * row holds the hash of the secret.
 */
export interface PasswordResetDoc extends Doc {
  /** Changes with each new code: what a mailed code is derived from. */
  readonly nonce: string;
  readonly expires_at: number;
  /** When the code was mailed last. */
  readonly mailed_at?: number;
  /** SHA-256 of an operator's secret, lowercase hex. */
  readonly secret_hash?: string;
}

export const passwordResetsCollection = defineCollection<PasswordResetDoc>({
  name: 'password_resets',
  fields: {
    nonce: plain.string,
    expires_at: plain.time,
    mailed_at: plain.time,
    secret_hash: digest.string,
  },
  expiry: 'expires_at',
  reusesIds: true,
  tampered: 'absent',
});
