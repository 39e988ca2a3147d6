import { Doc, defineCollection } from '../../store';

/**
 * Lets one person register. `_id` becomes the account's id, so that one invitation makes one account whoever uses it at the same time.
 * Who steals the row has the hash of a 192-bit secret.
 */
export interface InvitationDoc extends Doc {
  /** As the administrator sent it: what the mail goes to. */
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
    email: 'string',
    address: 'string',
    secret_hash: 'string',
    invited_by: 'string',
    created_at: 'time',
    expires_at: 'time',
  },
  plaintext: ['email', 'address', 'invited_by', 'created_at', 'expires_at'],
  indexes: { address: { fields: ['address'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});
