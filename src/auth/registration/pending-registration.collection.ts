import { BudgetCounts, Reservation } from '../../users';
import { Doc, defineCollection, digest, plain } from '../../store';

/** Wrong codes of one registration: from the network that registered, and from all others. */
export interface ConfirmationTries {
  readonly own: BudgetCounts;
  readonly others: BudgetCounts;
}

/**
 * A registration that waits for its mailed code. `_id` becomes the account's id. It does not
 * reserve the name.
 */
export interface PendingRegistrationDoc extends Doc {
  readonly username: string;
  readonly email: string;
  /** The address, folded. */
  readonly address: string;
  readonly hashed_password: string;
  readonly salt: string;
  readonly expires_at: number;
  /** A MAC of the network that registered. */
  readonly client?: string;
  readonly tries?: ConfirmationTries;
  /** Time of the last mail with its code. */
  readonly mailed_at?: number;
}

export const pendingRegistrationsCollection = defineCollection<PendingRegistrationDoc>({
  name: 'pending_registrations',
  fields: {
    username: plain.string,
    email: plain.string,
    address: plain.string,
    hashed_password: digest.string,
    salt: plain.string,
    expires_at: plain.time,
    client: digest.string,
    tries: plain.json,
    mailed_at: plain.time,
  },
  indexes: { address: { fields: ['address'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});

/**
 * Wrong codes by client. `_id` is an HMAC of its network. Rows of a former release, with an HMAC of
 * an e-mail address, expire.
 */
export interface ConfirmingClientDoc extends Doc {
  /** Times of failed codes. */
  readonly failures: readonly number[];
  readonly attempts: readonly Reservation[];
  /** Empty; a former release expects the field. */
  readonly mails: readonly number[];
  readonly expires_at: number;
}

export const confirmingClientsCollection = defineCollection<ConfirmingClientDoc>({
  name: 'registration_addresses',
  fields: { failures: plain.json, attempts: plain.json, mails: plain.json, expires_at: plain.time },
  expiry: 'expires_at',
  reusesIds: true,
  tampered: 'absent',
});
