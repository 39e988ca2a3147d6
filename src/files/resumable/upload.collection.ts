import { Doc, defineCollection, encrypted, plain } from '../../store';

/**
 * `new`: its rows are being made. `open`: takes bytes. `whole`: all bytes are durable, the file is
 * being made of them. `done`: the file is there. `failed`: what was stored does not verify.
 * `ended`: terminated or expired, what is left is going.
 */
export type UploadState = 'new' | 'open' | 'whole' | 'done' | 'failed' | 'ended';

/**
 * `count` attempts with numbers from `first` on, each of which brought `size` bytes: a client's
 * chunks have one size, so runs are few.
 */
export type Run = Readonly<{ first: number; count: number; size: number }>;

/**
 * A resumable upload. `_id` is the id of the file that it becomes: that file's row is there from
 * the beginning, pending, with the name, the file key and the share of the quota.
 */
export interface UploadDoc extends Doc {
  readonly owner_id: string;
  readonly state: UploadState;
  /** Bytes that the file will have. */
  readonly length: number;
  /** Bytes that are durable and counted: the sum of `runs`. Never goes back. */
  readonly offset: number;
  /** Where the last attempt that counted began. */
  readonly last_offset: number;
  /** Sealed: media type, expiry of the file, and the client's Upload-Metadata. */
  readonly details: string;
  /** Sealed SHA-256, on an upload whose one segment becomes the file as it is. */
  readonly digest?: string;
  /** Random; the ids of the segments' blobs are derived from it, one an attempt. */
  readonly blob_seed: string;
  /** The highest attempt number that was ever given out. None is used twice. */
  readonly attempts: number;
  /** What the attempts that counted brought, in the order of the content. */
  readonly runs: readonly Run[];
  /**
   * True where attempt 1 was begun without its number in the context: alone and whole it may become
   * the file.
   */
  readonly unnumbered: boolean;
  /**
   * The attempt that may be counted next; whoever works on another one has lost. Absent while
   * nobody writes.
   */
  readonly running?: number;
  /**
   * The attempt that was asked to end with what came, since nothing more was heard of its client.
   */
  readonly close_asked?: number;
  /** When the running attempt last moved, and the process that works on it. */
  readonly touched_at?: number;
  readonly worker?: string;
  readonly created_at: number;
  /** Absent while the file is being made. */
  readonly expires_at?: number;
  readonly seal_version: number;
}

export const uploadCollection = defineCollection<UploadDoc>({
  name: 'uploads',
  fields: {
    owner_id: plain.string,
    state: plain.string,
    length: plain.number,
    offset: plain.number,
    last_offset: plain.number,
    details: encrypted.string,
    digest: encrypted.string,
    blob_seed: plain.string,
    attempts: plain.number,
    runs: plain.json,
    unnumbered: plain.boolean,
    running: plain.number,
    close_asked: plain.number,
    touched_at: plain.time,
    worker: plain.string,
    created_at: plain.time,
    expires_at: plain.time,
    seal_version: plain.number,
  },
  owner: 'owner_id',
  keyVersions: ['seal_version'],
  indexes: {
    owner: { fields: ['owner_id'] },
    state: { fields: ['state'] },
    expiry: { fields: ['expires_at'] },
    touched: { fields: ['touched_at'] },
    seal_version: { fields: ['owner_id', 'seal_version'] },
  },
  tampered: 'refuse',
});
