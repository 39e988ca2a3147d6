/**
 * Fields of every document. `rev` counts the revisions; a replace succeeds only at the revision
 * that was read.
 */
export interface Doc {
  readonly _id: string;
  readonly rev: number;
}

/** A document that is not stored yet. */
export type Draft<T extends Doc> = Omit<T, 'rev'>;

/**
 * `time` is milliseconds since the epoch in the program, a Date in MongoDB (TTL indexes require it)
 * and a number in LMDB.
 * `json` is a plain object or array of strings, finite numbers, booleans and the like.
 */
export type FieldKind = 'string' | 'number' | 'boolean' | 'time' | 'json';

export interface IndexDefinition<T extends Doc> {
  /** Compared in this order, `_id` last. A row that lacks one of the fields is not in the index. */
  readonly fields: readonly (keyof T & string)[];
  readonly unique?: boolean;
}

/**
 * Treatment of a row that fails MAC verification: absent on authentication paths, rejected on data
 * paths.
 */
export type TamperedRowPolicy = 'absent' | 'refuse';

export interface CollectionDefinition<T extends Doc> {
  readonly name: string;
  readonly fields: Readonly<Record<Exclude<keyof T & string, '_id' | 'rev'>, FieldKind>>;
  /**
   * Fields stored in plaintext; every other field holds ciphertext, a hash or a MAC
   * (docs/formats.md lists both).
   */
  readonly plaintext: readonly (keyof T & string)[];
  readonly indexes: Readonly<Record<string, IndexDefinition<T>>>;
  /**
   * Rows are removed some time after the time in this field. Only for rows that own no other data.
   */
  readonly expiry?: keyof T & string;
  /**
   * A new row may take the id of a removed one. Its revisions then begin at a random number, so
   * that a process that slept since it read the former row cannot replace or remove the new one.
   */
  readonly reusesIds?: boolean;
  readonly tampered: TamperedRowPolicy;
  /**
   * False only for the rows of the system keys, which are read before the integrity key is
   * available.
   */
  readonly authenticated: boolean;
}

export type CollectionOptions<T extends Doc> = Omit<CollectionDefinition<T>, 'authenticated' | 'indexes'> & {
  readonly indexes?: CollectionDefinition<T>['indexes'];
  readonly authenticated?: boolean;
};

/** Declares a collection for all engines. Both engines build schema and indexes from it. */
export function defineCollection<T extends Doc>(options: CollectionOptions<T>): CollectionDefinition<T> {
  return Object.freeze({ authenticated: true, ...options, indexes: options.indexes ?? {} });
}
