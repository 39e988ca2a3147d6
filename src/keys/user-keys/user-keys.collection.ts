import type { WrapLocation } from '../../installation';
import { defineCollection, type Doc, type Draft, plain, wrapped } from '../../store';

/** One version of an owner's key. Older ones stay as long as something is sealed under them. */
export interface UserKeyVersion {
  readonly version: number;
  /** Empty in the store where the wrap is stored in Vault. */
  readonly wrapped: string;
  readonly master_version: number;
  /** Names the key among those of its owner's document in Vault; absent where the wrap is here. */
  readonly key_id?: string;
  /** ms since the epoch. */
  readonly created_at: number;
}

/** One row an owner; `_id` is the owner's id. */
export interface UserKeyDoc extends Doc {
  /**
   * The user name under which the wraps are stored in Vault; absent where they are here, and once
   * an erase has ended.
   */
  readonly name?: string;
  /**
   * On the way there: the wraps are here, and there may be a document in Vault under the name as
   * well.
   */
  readonly moving?: WrapLocation;
  /** Where the wraps have lain: in rows whose wraps were moved, and in those of erased owners. */
  readonly kept_in?: WrapLocation | 'both';
  readonly state: 'pending' | 'active' | 'erased';
  /**
   * True in the tombstone of a pending row that was given up: its owner may still get a key. The
   * row is never removed, since a row that came anew would begin at the first revision again, and a
   * writer that slept would find the revision that it read.
   */
  readonly given_up?: boolean;
  readonly current: number;
  /**
   * Rises when the keys change (a new version, an erase), not when they are only rewrapped: what
   * the cache compares.
   */
  readonly epoch: number;
  readonly versions: readonly UserKeyVersion[];
  /** Lowest master key version among `versions`; absent once they are gone. */
  readonly master_version?: number;
  /**
   * Epoch of the master key row that was read before a pending row was wrapped: what decides
   * whether it may become active.
   */
  readonly master_epoch: number;
  /** The name key as a record envelope under `secrets`, hex. */
  readonly wrapped_name_key: string;
  readonly created_at: number;
  /**
   * Whether the last attempt to wrap the row again failed; `quarantine` says why and for which
   * target version.
   */
  readonly quarantined: boolean;
  readonly quarantine?: string;
  readonly quarantine_target?: number;
  /** True from the write that drops a version until its wraps are gone from Vault. */
  readonly strays?: boolean;
}

export const userKeysCollection = defineCollection<UserKeyDoc>({
  name: 'user_keys',
  fields: {
    name: plain.string,
    moving: plain.string,
    kept_in: plain.string,
    state: plain.string,
    given_up: plain.boolean,
    current: plain.number,
    epoch: plain.number,
    versions: wrapped.json,
    master_version: plain.number,
    master_epoch: plain.number,
    wrapped_name_key: wrapped.string,
    created_at: plain.time,
    quarantined: plain.boolean,
    quarantine: plain.string,
    quarantine_target: plain.number,
    strays: plain.boolean,
  },
  indexes: {
    state: { fields: ['state', 'created_at'] },
    rotated: { fields: ['state', 'current'] },
    due: { fields: ['quarantined', 'master_version'] },
    quarantine: { fields: ['quarantine_target'] },
  },
  tampered: 'refuse',
});

/**
 * A row says by itself where its wraps are stored. Without a name: in the row. With one: in Vault,
 * under it. With one and `moving`: in the row, and there may be a document in Vault as well.
 */
export const isInVault = ({ name, moving }: Pick<UserKeyDoc, 'name' | 'moving'>): boolean =>
  name !== undefined && moving === undefined;

/** What the store keeps of a complete row. */
export function storedRow<T extends Draft<UserKeyDoc>>(row: T): T {
  if (row.moving !== undefined) return row;
  const form = isInVault(row) ? withoutWrap : withoutKeyId;
  return { ...row, versions: row.versions.map(form) };
}

const withoutWrap = (entry: UserKeyVersion): UserKeyVersion => ({ ...entry, wrapped: '' });
const withoutKeyId = ({ key_id: _, ...entry }: UserKeyVersion): UserKeyVersion => entry;

/** Where a key's wraps have lain: what backups of that place may hold. */
export function tracesOf({ name, kept_in }: Pick<UserKeyDoc, 'name' | 'kept_in'>): WrapLocation | 'both' {
  return kept_in ?? (name === undefined ? 'store' : 'vault');
}
