import { Doc, defineCollection, digest, plain } from '../../store';

/**
 * Permits one registration. `_id` becomes the account's id, so that one invitation creates one
 * account even under concurrency.
 * A stolen row contains only the hash of a 192-bit secret.
 */
export interface InvitationDoc extends Doc {
  /** The address of the mail, as the administrator sent it. */
  readonly email: string;
  /** The address, folded. */
  readonly address: string;
  /** SHA-256 of the secret, lowercase hex. */
  readonly secret_hash: string;
  /** Id of the administrator. */
  readonly invited_by: string;
  readonly created_at: number;
  readonly expires_at: number;
}

export const invitationsCollection = defineCollection<InvitationDoc>({
  name: 'invitations',
  fields: {
    email: plain.string,
    address: plain.string,
    secret_hash: digest.string,
    invited_by: plain.string,
    created_at: plain.time,
    expires_at: plain.time,
  },
  indexes: { address: { fields: ['address'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});
