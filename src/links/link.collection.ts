import { Doc, defineCollection, digest, plain } from '../store';
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
    kind: plain.string,
    owner_id: plain.string,
    resource: plain.string,
    secret_hash: digest.string,
    hashed_password: digest.string,
    salt: plain.string,
    created_at: plain.time,
    expires_at: plain.time,
    max_uses: plain.number,
    uses: plain.number,
    max_size: plain.number,
    failed_attempts: plain.number,
    last_failed_attempt_time: plain.time,
    attempts_in_flight: plain.json,
  },
  indexes: {
    owner: { fields: ['owner_id', 'kind', 'created_at'] },
    resource: { fields: ['resource', 'created_at'] },
    expiry: { fields: ['expires_at'] },
  },
  // A link that was planted in the database does not exist.
  tampered: 'absent',
});
