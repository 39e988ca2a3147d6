import { BudgetCounts, LockoutCounts } from '../../users';
import { Doc, defineCollection, encrypted, plain } from '../../store';

/** Authentication method (RFC 8176, if it defines a value). */
export type AuthMethod = 'pwd' | 'otp' | 'mfa' | 'recovery';

export interface SessionDoc extends Doc {
  readonly user_id: string;
  /**
   * Increases with each refresh and each replacement of the tokens. Refresh tokens are not stored,
   * only this number.
   */
  readonly generation: number;
  /** Tokens of an older generation are void in any case: a step-up replaced them. */
  readonly floor: number;
  /** Time of the last proof of the password (and second factor). A refresh does not change it. */
  readonly auth_time: number;
  readonly amr: readonly AuthMethod[];
  readonly created_at: number;
  /** Start of the current generation. */
  readonly rotated_at: number;
  readonly expires_at: number;
  /** Client address and user agent: record envelope in hex, under the owner's `secrets` subkey. */
  readonly client?: string;
  /** Wrong passwords in /step-up. */
  readonly password_attempts?: LockoutCounts;
  /** Wrong codes for enabling a factor. */
  readonly code_attempts?: BudgetCounts;
  /** Times at which codes were mailed for this session. */
  readonly code_mails?: readonly number[];
}

export const sessionsCollection = defineCollection<SessionDoc>({
  name: 'sessions',
  fields: {
    user_id: plain.string,
    generation: plain.number,
    floor: plain.number,
    auth_time: plain.time,
    amr: plain.json,
    created_at: plain.time,
    rotated_at: plain.time,
    expires_at: plain.time,
    client: encrypted.string,
    password_attempts: plain.json,
    code_attempts: plain.json,
    code_mails: plain.json,
  },
  owner: 'user_id',
  // Ids are UUIDv7 and the last index field: oldest first.
  indexes: { user: { fields: ['user_id'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});
