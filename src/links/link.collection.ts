import { Doc, defineCollection } from '../store';
import { Reservation } from '../users';

/** `download` opens one resource for reading; `upload` takes files for its owner. */
export type LinkKind = 'download' | 'upload';

/** A link is authorization only: it holds no key. A stolen row has the hash of a 256-bit secret. */
export interface LinkDoc extends Doc {
  readonly kind: LinkKind;
  readonly owner_id: string;
  /** The id of the resource; absent on an upload link. */
  readonly resource?: string;
  /** SHA-256 of the secret in the link's fragment, lowercase hex. */
  readonly secret_hash: string;
  readonly hashed_password?: string;
  /** 32 hex digits, with the password. */
  readonly salt?: string;
  readonly created_at: number;
  readonly expires_at?: number;
  /** How often it may be redeemed; absent without a limit. */
  readonly max_uses?: number;
  readonly uses: number;
  /** Bytes that one upload may have; on upload links. */
  readonly max_size?: number;

  /** Wrong passwords in a row. */
  readonly failed_attempts: number;
  readonly last_failed_attempt_time?: number;
  readonly attempts_in_flight: readonly Reservation[];
}

export const linkCollection = defineCollection<LinkDoc>({
  name: 'links',
  fields: {
    kind: 'string',
    owner_id: 'string',
    resource: 'string',
    secret_hash: 'string',
    hashed_password: 'string',
    salt: 'string',
    created_at: 'time',
    expires_at: 'time',
    max_uses: 'number',
    uses: 'number',
    max_size: 'number',
    failed_attempts: 'number',
    last_failed_attempt_time: 'time',
    attempts_in_flight: 'json',
  },
  plaintext: [
    'kind',
    'owner_id',
    'resource',
    'salt',
    'created_at',
    'expires_at',
    'max_uses',
    'uses',
    'max_size',
    'failed_attempts',
    'last_failed_attempt_time',
    'attempts_in_flight',
  ],
  indexes: {
    owner: { fields: ['owner_id', 'kind', 'created_at'] },
    resource: { fields: ['resource', 'created_at'] },
    expiry: { fields: ['expires_at'] },
  },
  // A link that was planted in the database does not exist.
  tampered: 'absent',
});
