import { Doc, defineCollection, plain } from '../../store';

/** Purpose of a mailed code. A code is invalid for any other purpose. */
export type CodePurpose = 'login' | 'enable-email' | 'step-up' | 'change-email';

/**
 * A request for a second factor. A login has its own challenge, with the id in its `mfa_token`; a
 * session has one for each purpose, with the id `<session>:<purpose>`.
 */
export interface ChallengeDoc extends Doc {
  readonly user_id: string;
  readonly purpose: CodePurpose;
  /** The binding of the code: the session, or for a login the challenge itself. */
  readonly session_id: string;
  /** Input of the code's derivation; changes when a session requests a new code. */
  readonly nonce: string;
  /** Number of codes compared with this one. */
  readonly tries: number;
  readonly mailed_at?: number;
  readonly expires_at: number;
  /** True if the login used the account's address instead of its user name. */
  readonly by_address?: boolean;
  /** On a login: the account's `password_changed_at` when its password was proved. */
  readonly password_changed_at?: number;
  /** The new address that a code of `change-email` goes to. */
  readonly email?: string;
}

export const challengesCollection = defineCollection<ChallengeDoc>({
  name: 'otp_challenges',
  fields: {
    user_id: plain.string,
    purpose: plain.string,
    session_id: plain.string,
    nonce: plain.string,
    tries: plain.number,
    mailed_at: plain.time,
    expires_at: plain.time,
    by_address: plain.boolean,
    password_changed_at: plain.time,
    email: plain.string,
  },
  indexes: { user: { fields: ['user_id'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});
