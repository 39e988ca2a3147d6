import { Doc, defineCollection } from '../../store';

/** What a mailed code is good for. A code of one purpose opens nothing else. */
export type CodePurpose = 'login' | 'enable-email' | 'step-up';

/**
 * What a second factor is asked for. A login has one of its own, under the id that its `mfa_token` names; a session has one a purpose,
 * under `<session>:<purpose>`.
 */
export interface ChallengeDoc extends Doc {
  readonly user_id: string;
  readonly purpose: CodePurpose;
  /** What the code is bound to: the session; for a login the challenge itself. */
  readonly session_id: string;
  /** Changes when a session asks for a new code: what the code is derived from. */
  readonly nonce: string;
  /** How many codes were compared with this one. */
  readonly tries: number;
  readonly mailed_at?: number;
  readonly expires_at: number;
  /** The login was begun with the account's address and not with its user name. */
  readonly by_address?: boolean;
}

export const challengesCollection = defineCollection<ChallengeDoc>({
  name: 'otp_challenges',
  fields: {
    user_id: 'string',
    purpose: 'string',
    session_id: 'string',
    nonce: 'string',
    tries: 'number',
    mailed_at: 'time',
    expires_at: 'time',
    by_address: 'boolean',
  },
  plaintext: ['user_id', 'purpose', 'session_id', 'nonce', 'tries', 'mailed_at', 'expires_at', 'by_address'],
  indexes: { user: { fields: ['user_id'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});
