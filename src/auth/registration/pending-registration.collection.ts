import { Reservation } from '../../users';
import { Doc, defineCollection } from '../../store';

/** A registration that waits for the code mailed to its address. `_id` becomes the account's id. It holds no name: a confirmed one does. */
export interface PendingRegistrationDoc extends Doc {
  readonly username: string;
  readonly email: string;
  /** The address, folded. */
  readonly address: string;
  readonly hashed_password: string;
  readonly salt: string;
  readonly expires_at: number;
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
  },
  clear: ['username', 'email', 'address', 'salt', 'expires_at'],
  indexes: { address: { fields: ['address'] } },
  expiry: 'expires_at',
  forged: 'absent',
});

/** What is counted an address, over all registrations with it. `_id` is an HMAC of the address. */
export interface RegistrationAddressDoc extends Doc {
  /** When codes failed. */
  readonly failures: readonly number[];
  readonly attempts: readonly Reservation[];
  /** When mails went out. */
  readonly mails: readonly number[];
  readonly expires_at: number;
}

export const registrationAddressesCollection = defineCollection<RegistrationAddressDoc>({
  name: 'registration_addresses',
  fields: { failures: 'json', attempts: 'json', mails: 'json', expires_at: 'time' },
  clear: ['failures', 'attempts', 'mails', 'expires_at'],
  expiry: 'expires_at',
  reusesIds: true,
  forged: 'absent',
});
