import { Doc, defineCollection, digest, plain } from '../store';

/** An API key. `_id` is the id in its text. Who steals the row has the hash of a 190-bit secret. */
export interface ApiKeyDoc extends Doc {
  /** The service account or person whose key it is. */
  readonly owner_id: string;
  readonly kind: 'service-account' | 'person';
  readonly name?: string;
  /**
   * As texts (kernel/scopes.ts); of a service account's key a copy, so that a request reads one
   * row.
   */
  readonly scopes: readonly string[];
  /** SHA-256 of the secret, lowercase hex. */
  readonly secret_hash: string;
  /** Networks in CIDR from which the key holds; empty for anywhere. */
  readonly allowed_addresses: readonly string[];
  readonly created_at: number;
  readonly expires_at?: number;
  /** The minute of the last use. */
  readonly last_used_at?: number;
}

export const apiKeysCollection = defineCollection<ApiKeyDoc>({
  name: 'api_keys',
  fields: {
    owner_id: plain.string,
    kind: plain.string,
    name: plain.string,
    scopes: plain.json,
    secret_hash: digest.string,
    allowed_addresses: plain.json,
    created_at: plain.time,
    expires_at: plain.time,
    last_used_at: plain.time,
  },
  indexes: { owner: { fields: ['owner_id', 'created_at'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});
