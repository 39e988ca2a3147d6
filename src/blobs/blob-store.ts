import { Readable } from 'node:stream';
import { ExpectedMedium } from './owner';

/** Ids of blobs. None can leave a folder, a bucket prefix or a URL path segment. */
const BLOB_ID = /^[a-z0-9-]{1,64}$/;

export const isBlobId = (id: string): boolean => BLOB_ID.test(id);

/** Another id is a programming error, never bad input. @throws TypeError */
export function requireBlobId(id: string): void {
  if (!isBlobId(id)) throw new TypeError('a blob id is 1 to 64 characters of [a-z0-9-]');
}

/** Bytes `start` to `end`, both included, as in an HTTP range. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface ListOptions {
  /** Only blobs that have been there for longer, by the medium's own record of it. */
  readonly olderThanMs?: number;
}

/**
 * Ciphertext bytes under opaque random ids. Sees no plaintext, no key, no file name and no owner.
 * Ids are 1 to 64 characters of [a-z0-9-]. Every method rejects with DomainError `storage_full` (no
 * space) or `store_unavailable` (the medium does not answer).
 */
export abstract class BlobStore {
  /**
   * Writes a whole blob. Resolves with its size only when it is durable (file and folder fsynced)
   * and visible; when `source` fails or the process dies nothing is visible under `id`. An id is
   * written once: a second put rejects.
   */
  abstract put(id: string, source: AsyncIterable<Uint8Array>): Promise<number>;
  /**
   * A stream of the blob or of a range of it. The caller destroys it when it stops early.
   * `chunkBytes` is a wish: a store that can choose gives chunks of that size, each in memory of
   * its own.
   * @throws DomainError `not_found`.
   */
  abstract get(id: string, range?: ByteRange, chunkBytes?: number): Promise<Readable>;
  /** Size in bytes; undefined where there is no such blob. */
  abstract size(id: string): Promise<number | undefined>;
  /**
   * Removes the blob, and what an unfinished put left; does nothing where there is none. A put
   * under way then fails with `conflict`.
   */
  abstract remove(id: string): Promise<void>;
  /**
   * Removes what an unfinished put of this id left, and never a blob. A put that is under way then
   * fails with `conflict`.
   */
  abstract discard(id: string): Promise<void>;
  /** All ids, in no order, for sweeper and scrub. */
  abstract list(options?: ListOptions): AsyncIterable<string>;
  /** Removes what dead puts left, of any id, where nothing was added to it for `ageMs`. */
  abstract sweep(ageMs: number): Promise<void>;
  /**
   * Makes ready what the store needs on its medium, and binds the medium to this installation.
   * Resolves with the id of the medium. `expected`: what the medium has to show; `new` unless told.
   * Safe to repeat.
   * @throws StartupError where the medium is not what it should be, belongs to another
   * installation, or does not show what is expected; then nothing is made on it.
   */
  abstract open(installationId: string, expected?: ExpectedMedium): Promise<string>;
  /** Rejects when the medium does not answer. */
  abstract ping(): Promise<void>;
}
