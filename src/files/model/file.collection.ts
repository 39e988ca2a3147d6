import { Doc, defineCollection, digest, encrypted, plain } from '../../store';

/**
 * `pending`: an upload is under way, invisible. `active`: a file. `trashed`: its owner may restore
 * it until `purge_at`; its name is free. `deleting`: invisible and without keys; the share of the
 * quota, the blobs and this row are removed in that order.
 */
export type FileState = 'pending' | 'active' | 'trashed' | 'deleting';

/**
 * A content of the file besides the current one. `incoming`: under way, invisible. `former`: an
 * earlier version, readable. `dropped`: its key is gone, its share and its blob will be. All in the
 * file's own row, so that a swap with the current content is one conditional write.
 */
export interface OtherContent {
  readonly state: 'incoming' | 'former' | 'dropped';
  readonly version: number;
  readonly blob_id: string;
  /** As the row's own fields of these names; absent once dropped. */
  readonly file_key?: string;
  readonly meta?: string;
  readonly size?: number;
  readonly encrypted_size?: number;
  readonly client_encrypted: boolean;
  /**
   * A version's content under another file key. It takes no share of the quota beside its version.
   */
  readonly rekeyed?: true;
  /** When this version was stored. */
  readonly modified_at: number;
  /** The process that works on it, and its last sign of life: on incoming and dropped ones. */
  readonly heartbeat_at?: number;
  readonly worker?: string;
}

/**
 * A file and its current version. Envelopes are record envelopes (docs/formats.md), lowercase hex.
 */
export interface FileDoc extends Doc {
  readonly owner_id: string;
  readonly state: FileState;
  /**
   * HMAC of the name under the owner's name key; on active rows only, so that the name of a removed
   * file is free at once. An active row without one is a file whose name was taken when it was
   * stored.
   */
  readonly name_index?: string;
  readonly name: string;
  /** Number of the current version, from 1. Never used twice in one file. */
  readonly version: number;
  /** Random; nothing about the file can be read from it. */
  readonly blob_id: string;
  /**
   * The wrapped file key of this version. A removal drops it first: nothing else opens the blob.
   */
  readonly file_key?: string;
  /** Encrypted: media type, SHA-256, client's envelope. Absent until the content is stored. */
  readonly meta?: string;
  readonly size?: number;
  readonly encrypted_size?: number;
  readonly client_encrypted: boolean;
  /** Versions and incoming contents besides the current one; absent where there are none. */
  readonly others?: readonly OtherContent[];
  /** The highest version number that was ever given out; absent where it is `version`. */
  readonly last_version?: number;
  readonly created_at: number;
  /** When this version was stored. */
  readonly modified_at: number;
  readonly expires_at?: number;
  readonly trashed_at?: number;
  /** When a file in the trash is removed for good. */
  readonly purge_at?: number;
  /** The oldest sign of life of a process that works on the row; absent while none does. */
  readonly heartbeat_at?: number;
  /** The process that works on it (jobs/lease-owner); as `heartbeat_at`. */
  readonly worker?: string;
  /** The user key versions that wrap the file key, and that encrypt name and meta. */
  readonly wrap_version: number;
  readonly seal_version: number;
}

/** A row whose content is stored. */
export type WholeFile = FileDoc & Required<Pick<FileDoc, 'file_key' | 'meta' | 'size' | 'encrypted_size'>>;

/** A row that readers may see. */
export type ActiveFile = WholeFile & { readonly state: 'active' };

/** A file in the trash: its owner may list, restore or remove it, and nobody may read it. */
export type TrashedFile = WholeFile & { readonly state: 'trashed' } & Required<
    Pick<FileDoc, 'trashed_at' | 'purge_at'>
  >;

/**
 * Whether a reader may see the file at `now`. An expired one is invisible before the sweeper
 * removes it.
 */
export const isVisible = (row: FileDoc | undefined, now: number): row is ActiveFile =>
  row?.state === 'active' && !hasExpired(row, now);

export const isInTrash = (row: FileDoc | undefined, now: number): row is TrashedFile =>
  row?.state === 'trashed' && !hasExpired(row, now) && !isPurged(row, now);

/** Whether the time in the trash is over. */
export const isPurged = (row: FileDoc, now: number): boolean => row.purge_at !== undefined && row.purge_at <= now;

export const hasExpired = (row: FileDoc, now: number): boolean => row.expires_at !== undefined && row.expires_at <= now;

export const fileCollection = defineCollection<FileDoc>({
  name: 'files',
  fields: {
    owner_id: plain.string,
    state: plain.string,
    name_index: digest.string,
    name: encrypted.string,
    version: plain.number,
    blob_id: plain.string,
    file_key: encrypted.string,
    meta: encrypted.string,
    size: plain.number,
    encrypted_size: plain.number,
    client_encrypted: plain.boolean,
    others: encrypted.json,
    last_version: plain.number,
    created_at: plain.time,
    modified_at: plain.time,
    expires_at: plain.time,
    trashed_at: plain.time,
    purge_at: plain.time,
    heartbeat_at: plain.time,
    worker: plain.string,
    wrap_version: plain.number,
    seal_version: plain.number,
  },
  owner: 'owner_id',
  keyVersions: ['wrap_version', 'seal_version'],
  indexes: {
    name: { fields: ['owner_id', 'name_index'], unique: true },
    owner: { fields: ['owner_id', 'state', 'created_at'] },
    blob: { fields: ['blob_id'], unique: true },
    expiry: { fields: ['expires_at'] },
    purge: { fields: ['purge_at'] },
    heartbeat: { fields: ['heartbeat_at'] },
    wrap_version: { fields: ['owner_id', 'wrap_version'] },
    seal_version: { fields: ['owner_id', 'seal_version'] },
  },
  tampered: 'refuse',
});
