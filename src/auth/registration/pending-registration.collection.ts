import { BudgetCounts, Reservation } from '../../users';
import { Doc, defineCollection } from '../../store';

/** Wrong codes of one registration: those from the network that registered, and those of everybody else. */
export interface ConfirmationTries {
  readonly own: BudgetCounts;
  readonly others: BudgetCounts;
}

/** A registration that waits for the code mailed to its address. `_id` becomes the account's id. It holds no name: a confirmed one does. */
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
  /** When its code was mailed last. */
  readonly mailed_at?: number;
}

export const pendingRegistrationsCollection = defineCollection<PendingRegistrationDoc>({
  name: 'pending_registrations',
  fields: {
    username: 'string',
    email: 'string',
    address: 'string',
    hashed_password: 'string',
    salt: 'string',
    expires_at: 'time',
    client: 'string',
    tries: 'json',
    mailed_at: 'time',
  },
  plaintext: ['username', 'email', 'address', 'salt', 'expires_at', 'tries', 'mailed_at'],
  indexes: { address: { fields: ['address'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});

/** Wrong codes by client. `_id` is an HMAC of its network. Rows of a former release have one of an e-mail address, and end by themselves. */
export interface ConfirmingClientDoc extends Doc {
  /** When codes failed. */
  readonly failures: readonly number[];
  readonly attempts: readonly Reservation[];
  /** Empty; a former release expects it. */
  readonly mails: readonly number[];
  readonly expires_at: number;
}

export const confirmingClientsCollection = defineCollection<ConfirmingClientDoc>({
  name: 'registration_addresses',
  fields: { failures: 'json', attempts: 'json', mails: 'json', expires_at: 'time' },
  plaintext: ['failures', 'attempts', 'mails', 'expires_at'],
  expiry: 'expires_at',
  reusesIds: true,
  tampered: 'absent',
});
