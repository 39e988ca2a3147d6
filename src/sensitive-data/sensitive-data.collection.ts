import { Doc, defineCollection } from '../store';

export interface SensitiveDataDoc extends Doc {
  readonly user_id: string;
  readonly data_type: string;
  /** The record envelope (docs/formats.md), lowercase hex. */
  readonly encrypted_value: string;
  /**
   * The user key version in the envelope, so that re-encryption finds the remaining rows by an
   * index.
   */
  readonly key_version: number;
  /**
   * `pending` rows are invisible: their writer has not yet read the key row again (wrap protocol).
   */
  readonly state: 'pending' | 'active';
  /** Set only while pending; the sweeper's index. */
  readonly pending_since?: number;
  readonly created_at: number;
  readonly updated_at: number;
}

export const sensitiveDataCollection = defineCollection<SensitiveDataDoc>({
  name: 'sensitive_data',
  fields: {
    user_id: 'string',
    data_type: 'string',
    encrypted_value: 'string',
    key_version: 'number',
    state: 'string',
    pending_since: 'time',
    created_at: 'time',
    updated_at: 'time',
  },
  plaintext: ['user_id', 'data_type', 'key_version', 'state', 'pending_since', 'created_at', 'updated_at'],
  indexes: {
    // Ids are UUIDv7 and the last field of each index, so both lists are oldest first.
    owner: { fields: ['user_id', 'state'] },
    owner_type: { fields: ['user_id', 'state', 'data_type'] },
    owner_version: { fields: ['user_id', 'key_version'] },
    pending: { fields: ['pending_since'] },
  },
  tampered: 'refuse',
});
