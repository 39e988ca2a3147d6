import { BudgetCounts, LockoutCounts } from '../../users';
import { Doc, defineCollection } from '../../store';

/** How a person proved who they are (RFC 8176, where it has a word for it). */
export type AuthMethod = 'pwd' | 'otp' | 'mfa' | 'recovery';

export interface SessionDoc extends Doc {
  readonly user_id: string;
  /** Grows with each refresh and each replacement of the tokens: of refresh tokens, only this number is kept. */
  readonly generation: number;
  /** Tokens of an older generation are void, whatever else holds: a step-up replaced them. */
  readonly floor: number;
  /** When the password (and second factor) was last proved. A refresh does not move it. */
  readonly auth_time: number;
  readonly amr: readonly AuthMethod[];
  readonly created_at: number;
  /** When the present generation was made. */
  readonly rotated_at: number;
  readonly expires_at: number;
  /** Client address and user agent: record envelope in hex, under the owner's `secrets` subkey. */
  readonly client?: string;
  /** Wrong passwords of /step-up. */
  readonly password_attempts?: LockoutCounts;
  /** Wrong codes that were to turn a factor on. */
  readonly code_attempts?: BudgetCounts;
  /** When codes were mailed for this session. */
  readonly code_mails?: readonly number[];
}

export const sessionsCollection = defineCollection<SessionDoc>({
  name: 'sessions',
  fields: {
    user_id: 'string',
    generation: 'number',
    floor: 'number',
    auth_time: 'time',
    amr: 'json',
    created_at: 'time',
    rotated_at: 'time',
    expires_at: 'time',
    client: 'string',
    password_attempts: 'json',
    code_attempts: 'json',
    code_mails: 'json',
  },
  plaintext: [
    'user_id',
    'generation',
    'floor',
    'auth_time',
    'amr',
    'created_at',
    'rotated_at',
    'expires_at',
    'password_attempts',
    'code_attempts',
    'code_mails',
  ],
  // Ids are UUIDv7 and come last: oldest first.
  indexes: { user: { fields: ['user_id'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});
