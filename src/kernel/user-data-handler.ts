/**
 * What holds data of a user and must follow when the user's key changes or the account goes. Each
 * module that owns such rows implements it; app.module hands all of them to keys/rotation and
 * account-lifecycle, so nothing below imports a feature. Each call is resumable: it may be repeated
 * after a crash at any point and goes on where it was.
 */
export interface UserDataHandler {
  readonly name: string;
  /** Names of the collections whose encrypted fields it re-encrypts and counts. */
  readonly collections: readonly string[];
  /**
   * Rewraps, under the user's current key version, each key that an older version wraps. Returns
   * how many.
   */
  rewrap?(userId: string): Promise<number>;
  /**
   * Re-encrypts, under the user's current key version, each value of an older version. Returns how
   * many.
   */
  reencrypt(userId: string): Promise<number>;
  /**
   * How many rows here may need each of these versions of the user's key, in their order: pending
   * rows, and what does not open, included. From the rows and their envelopes, never from an index,
   * and in one pass over them: a version ends, and what it sealed with it, as soon as all say 0.
   */
  countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]>;
  /** Removes all that the user owns here. Returns how many rows went. */
  eraseUser(userId: string): Promise<number>;
}
