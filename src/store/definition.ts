/** What every document has. `rev` counts its revisions; a replace holds only if it is still the one read. */
export interface Doc {
  readonly _id: string;
  readonly rev: number;
}

/** A document that is not stored yet. */
export type Draft<T extends Doc> = Omit<T, 'rev'>;

/**
 * `time` is milliseconds since the epoch in the program, a Date in MongoDB (TTL indexes want one) and a number in LMDB.
 * `json` is a plain object or array of strings, finite numbers, booleans and the like.
 */
export type FieldKind = 'string' | 'number' | 'boolean' | 'time' | 'json';

export interface IndexDefinition<T extends Doc> {
  /** Compared in this order, `_id` last. A row that lacks one of the fields is not in the index. */
  readonly fields: readonly (keyof T & string)[];
  readonly unique?: boolean;
}

/** What happens to a row whose seal does not hold: on authentication paths it counts as absent, on data it is refused. */
export type TamperedRowPolicy = 'absent' | 'refuse';

export interface CollectionDefinition<T extends Doc> {
  readonly name: string;
  readonly fields: Readonly<Record<Exclude<keyof T & string, '_id' | 'rev'>, FieldKind>>;
  /** Fields that stand in clear in the store; each other one holds ciphertext, a hash or a MAC (docs/formats.md lists both). */
  readonly plaintext: readonly (keyof T & string)[];
  readonly indexes: Readonly<Record<string, IndexDefinition<T>>>;
  /** Rows are removed some time after the time in this field. Only for rows that own nothing. */
  readonly expiry?: keyof T & string;
  /**
   * A new row may take the id of a removed one. Its revisions then begin at a random number, so that
   * a process that slept since it read the former row cannot replace or remove the new one.
   */
  readonly reusesIds?: boolean;
  readonly tampered: TamperedRowPolicy;
  /** False for the rows of the system keys alone, which must be read before the integrity key is there. */
  readonly authenticated: boolean;
}

export type CollectionOptions<T extends Doc> = Omit<CollectionDefinition<T>, 'authenticated' | 'indexes'> & {
  readonly indexes?: CollectionDefinition<T>['indexes'];
  readonly authenticated?: boolean;
};

/** Declares a collection, engine-neutral. Both engines build schema and indexes from it. */
export function defineCollection<T extends Doc>(options: CollectionOptions<T>): CollectionDefinition<T> {
  return Object.freeze({ authenticated: true, ...options, indexes: options.indexes ?? {} });
}
