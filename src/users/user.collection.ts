import { Role } from '../kernel';
import { Doc, defineCollection, digest, encrypted, plain } from '../store';

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
  /**
   * When another password took the place of the former one. Grows with each change; a new hash of
   * the same password does not move it.
   */
  readonly password_changed_at?: number;
  readonly role: Role;
  /**
   * `pending`: no user key yet; no login until the registration is complete. `erasing`: an erasure
   * has begun; nobody can log in, but the name and the address stay taken.
   */
  readonly state: 'pending' | 'active' | 'disabled' | 'erasing';
  readonly created_at: number;
  /**
   * On an administrator: the act that is to make it none. Until it is done the account counts for
   * no other such act.
   */
  readonly leaving?: string;

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

/** An account that can log in, now or when it is enabled again. */
export const isRegistered = (user: UserDoc | undefined): user is UserDoc =>
  user?.state === 'active' || user?.state === 'disabled';

export const usersCollection = defineCollection<UserDoc>({
  name: 'users',
  fields: {
    username: plain.string,
    email: plain.string,
    verified_email: plain.string,
    hashed_password: digest.string,
    salt: plain.string,
    password_changed_at: plain.time,
    role: plain.string,
    state: plain.string,
    created_at: plain.time,
    leaving: plain.string,
    failed_attempts: plain.number,
    last_failed_attempt_time: plain.time,
    attempts_in_flight: plain.json,
    two_factor_enabled: plain.boolean,
    email_factor: plain.boolean,
    totp_secret: encrypted.string,
    totp_pending: encrypted.string,
    totp_pending_at: plain.time,
    totp_last_step: plain.number,
    recovery_batch: plain.string,
    factor_failures: plain.json,
    factor_attempts: plain.json,
    code_mails: plain.json,
  },
  owner: '_id',
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
