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

/**
 * What stands in the store. `plain`: the value. `digest`: a hash or a MAC of it. `encrypted`:
 * ciphertext under the key of the row's owner, alone or inside a `json` field. `wrapped`: a key,
 * wrapped.
 */
export type Protection = 'plain' | 'digest' | 'encrypted' | 'wrapped';

/** A field of a collection: its kind, and how its value is protected. */
export interface Field<K extends FieldKind = FieldKind> {
  readonly kind: K;
  readonly protection: Protection;
}

const fieldsOf = (protection: Protection): { readonly [K in FieldKind]: Field<K> } => ({
  string: { kind: 'string', protection },
  number: { kind: 'number', protection },
  boolean: { kind: 'boolean', protection },
  time: { kind: 'time', protection },
  json: { kind: 'json', protection },
});

export const plain = fieldsOf('plain');
export const digest = fieldsOf('digest');
export const encrypted = fieldsOf('encrypted');
export const wrapped = fieldsOf('wrapped');

/** The kinds that a field of this type can have. */
type KindOf<V> = V extends string
  ? 'string'
  : V extends number
    ? 'number' | 'time'
    : V extends boolean
      ? 'boolean'
      : 'json';

type FieldName<T extends Doc> = Exclude<keyof T & string, '_id' | 'rev'>;

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
  readonly fields: Readonly<Record<FieldName<T>, FieldKind>>;
  /**
   * Fields stored in plaintext; every other field holds ciphertext, a hash or a MAC
   * (docs/formats.md lists both).
   */
  readonly plaintext: readonly string[];
  /**
   * Fields with ciphertext under the key of the row's owner. A UserDataHandler has to claim the
   * collection.
   */
  readonly encrypted: readonly string[];
  /** Who owns a row: the user under whose key it is encrypted. */
  readonly owner: (keyof T & string) | undefined;
  /**
   * Fields with the user key versions in the envelopes; none where a re-encryption reads the
   * envelopes.
   */
  readonly keyVersions: readonly (keyof T & string)[];
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

export type CollectionOptions<T extends Doc> = Pick<
  CollectionDefinition<T>,
  'name' | 'expiry' | 'reusesIds' | 'tampered'
> & {
  readonly fields: { readonly [K in FieldName<T>]-?: Field<KindOf<NonNullable<T[K]>>> };
  /** Demanded where a field is encrypted. */
  readonly owner?: keyof T & string;
  readonly keyVersions?: readonly (keyof T & string)[];
  readonly indexes?: CollectionDefinition<T>['indexes'];
  readonly authenticated?: boolean;
};

/**
 * Declares a collection, engine-neutral. Both engines build schema and indexes from it.
 * @throws TypeError where a field is encrypted and nobody owns the row.
 */
export function defineCollection<T extends Doc>({ fields, ...options }: CollectionOptions<T>): CollectionDefinition<T> {
  const declared = Object.entries<Field>(fields);
  const named = (protection: Protection): string[] =>
    declared.filter(([, field]) => field.protection === protection).map(([name]) => name);
  const encryptedFields = named('encrypted');
  if (encryptedFields.length > 0 && options.owner === undefined) {
    throw new TypeError(`${options.name} has encrypted fields and names no owner`);
  }
  return Object.freeze({
    authenticated: true,
    keyVersions: [],
    owner: undefined,
    indexes: {},
    ...options,
    fields: Object.fromEntries(declared.map(([name, { kind }]) => [name, kind])) as CollectionDefinition<T>['fields'],
    plaintext: named('plain'),
    encrypted: encryptedFields,
  });
}
