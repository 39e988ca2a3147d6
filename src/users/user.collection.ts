import { Role } from '../kernel';
import { Doc, defineCollection } from '../store';

/** An attempt that is being checked just now. */
export interface Reservation {
  readonly id: string;
  /** ms since the epoch. */
  readonly at: number;
}

export interface UserDoc extends Doc {
  readonly username: string;
  /** As it was sent at the registration. */
  readonly email: string;
  /** The same, folded, once its owner has proved that it is theirs. */
  readonly verified_email?: string;
  readonly hashed_password: string;
  /** 32 hex digits. */
  readonly salt: string;
  readonly role: Role;
  /**
   * `pending` until there is a user key: nobody logs in to such an account before its registration has been finished. `erasing` from the first
   * moment of an erase to its end: as good as gone, but its name and address are taken.
   */
  readonly state: 'pending' | 'active' | 'disabled' | 'erasing';
  readonly created_at: number;

  /** Wrong passwords in a row. */
  readonly failed_attempts: number;
  readonly last_failed_attempt_time?: number;
  readonly attempts_in_flight: readonly Reservation[];

  /** Whether any second factor is on. */
  readonly two_factor_enabled: boolean;
  readonly email_factor: boolean;
  /** Record envelope in hex, under the owner's `secrets` subkey. */
  readonly totp_secret?: string;
  /** The same, of a secret that has not been confirmed by its first code. */
  readonly totp_pending?: string;
  readonly totp_pending_at?: number;
  /** The newest TOTP step that was accepted. Never goes back. */
  readonly totp_last_step: number;
  /** Which recovery codes hold: those with this batch. */
  readonly recovery_batch?: string;
  /** When second factors failed, ms since the epoch. */
  readonly factor_failures: readonly number[];
  readonly factor_attempts: readonly Reservation[];
  /** When codes were mailed, as a former release counts them. */
  readonly code_mails: readonly number[];
}

export const usersCollection = defineCollection<UserDoc>({
  name: 'users',
  fields: {
    username: 'string',
    email: 'string',
    verified_email: 'string',
    hashed_password: 'string',
    salt: 'string',
    role: 'string',
    state: 'string',
    created_at: 'time',
    failed_attempts: 'number',
    last_failed_attempt_time: 'time',
    attempts_in_flight: 'json',
    two_factor_enabled: 'boolean',
    email_factor: 'boolean',
    totp_secret: 'string',
    totp_pending: 'string',
    totp_pending_at: 'time',
    totp_last_step: 'number',
    recovery_batch: 'string',
    factor_failures: 'json',
    factor_attempts: 'json',
    code_mails: 'json',
  },
  plaintext: [
    'username',
    'email',
    'verified_email',
    'salt',
    'role',
    'state',
    'created_at',
    'failed_attempts',
    'last_failed_attempt_time',
    'attempts_in_flight',
    'two_factor_enabled',
    'email_factor',
    'totp_pending_at',
    'totp_last_step',
    'recovery_batch',
    'factor_failures',
    'factor_attempts',
    'code_mails',
  ],
  indexes: {
    username: { fields: ['username'], unique: true },
    verified_email: { fields: ['verified_email'], unique: true },
    role: { fields: ['role', 'state'] },
  },
  // Who forges an account row gains nothing: it is as if it were not there.
  tampered: 'absent',
});

/** What an account begins with that nobody has tried anything on, and that has no factor yet. */
export const UNTRIED = {
  failed_attempts: 0,
  attempts_in_flight: [],
  two_factor_enabled: false,
  email_factor: false,
  totp_last_step: 0,
  factor_failures: [],
  factor_attempts: [],
  code_mails: [],
} as const;
