import { Doc, defineCollection, encrypted, plain } from '../store';

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
    user_id: plain.string,
    data_type: plain.string,
    encrypted_value: encrypted.string,
    key_version: plain.number,
    state: plain.string,
    pending_since: plain.time,
    created_at: plain.time,
    updated_at: plain.time,
  },
  owner: 'user_id',
  keyVersions: ['key_version'],
  indexes: {
    // Ids are UUIDv7 and the last field of each index, so both lists are oldest first.
    owner: { fields: ['user_id', 'state'] },
    owner_type: { fields: ['user_id', 'state', 'data_type'] },
    owner_version: { fields: ['user_id', 'key_version'] },
    pending: { fields: ['pending_since'] },
  },
  tampered: 'refuse',
});
