import { Role } from '../kernel';
import { Doc, defineCollection } from '../store';

/** A pending attempt. */
export interface Reservation {
  readonly id: string;
  /** ms since the epoch. */
  readonly at: number;
}

export interface UserDoc extends Doc {
  readonly username: string;
  /** The address as received at registration. */
  readonly email: string;
  /** The folded address, set once its owner has verified it. */
  readonly verified_email?: string;
  readonly hashed_password: string;
  /** 32 hex digits. */
  readonly salt: string;
  readonly role: Role;
  /**
   * `pending`: no user key yet; no login until the registration is complete. `erasing`: an erasure
   * has begun; nobody can log in, but the name and the address stay taken.
   */
  readonly state: 'pending' | 'active' | 'disabled' | 'erasing';
  readonly created_at: number;

  /** Consecutive wrong passwords. */
  readonly failed_attempts: number;
  readonly last_failed_attempt_time?: number;
  readonly attempts_in_flight: readonly Reservation[];

  /** True if any second factor is enabled. */
  readonly two_factor_enabled: boolean;
  readonly email_factor: boolean;
  /** Record envelope in hex, under the owner's `secrets` subkey. */
  readonly totp_secret?: string;
  /** Like `totp_secret`, for a secret that its first code has not confirmed yet. */
  readonly totp_pending?: string;
  readonly totp_pending_at?: number;
  /** The latest TOTP step that was accepted. Never decreases. */
  readonly totp_last_step: number;
  /** Recovery codes of this batch are valid. */
  readonly recovery_batch?: string;
  /** Times of failed second factors, ms since the epoch. */
  readonly factor_failures: readonly number[];
  readonly factor_attempts: readonly Reservation[];
  /** Times at which codes were mailed; used by an earlier release. */
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
  // A tampered row counts as absent, so a forged account has no effect.
  tampered: 'absent',
});

/** Initial values of an account without attempts and second factors. */
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
