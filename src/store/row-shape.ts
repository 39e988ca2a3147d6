import { DomainError } from '../kernel';
import { KeyPart } from './collection';
import { CollectionDefinition, Doc, FieldKind, IndexDefinition } from './definition';
import { carry, splitUnknown, unknownFields } from './unknown-fields';
import { wellFormed } from './well-formed';

/**
 * A document in its stored form: scalars only. `json` fields are text, so names inside them have no
 * meaning to an engine.
 */
export type FlatRow = { _id: string; rev: number } & Record<string, KeyPart>;

export interface ResolvedIndex {
  readonly name: string;
  readonly fields: readonly string[];
  readonly unique: boolean;
}

export const PRIMARY = '_id';
/**
 * Milliseconds; the end of the year 9999, after which ISO strings and some servers change their
 * form.
 */
export const LAST_TIME = 253_402_300_799_999;

/**
 * Converts documents to flat rows and back by a definition. Accepts fields of the definition with
 * the right kind, and unknown fields of a newer release that the row was read with.
 * A value of another kind is a programming error (TypeError), and no object from a client can
 * become part of a query.
 */
export class RowShape<T extends Doc> {
  readonly #fields: readonly (readonly [string, FieldKind])[];
  readonly #kinds: ReadonlyMap<string, FieldKind>;
  readonly indexes: readonly ResolvedIndex[];
  readonly #byName: ReadonlyMap<string, ResolvedIndex>;

  constructor(readonly definition: CollectionDefinition<T>) {
    this.#fields = Object.entries<FieldKind>(definition.fields).sort(([a], [b]) => (a < b ? -1 : 1));
    this.#kinds = new Map<string, FieldKind>([...this.#fields, [PRIMARY, 'string'], ['rev', 'number']]);
    this.indexes = Object.entries(definition.indexes).map(([name, index]) => this.#resolve(name, index));
    const primary = { name: PRIMARY, fields: [PRIMARY], unique: true };
    this.#byName = new Map([primary, ...this.indexes].map((index) => [index.name, index]));
    if (definition.expiry !== undefined && this.#kinds.get(definition.expiry) !== 'time') {
      throw new TypeError(`${definition.name}: the expiry field must be of kind time`);
    }
  }

  /** Field names and kinds, sorted by name, without `_id` and `rev`. */
  get fields(): readonly (readonly [string, FieldKind])[] {
    return this.#fields;
  }

  index(name: string): ResolvedIndex {
    const index = this.#byName.get(name);
    if (index === undefined) throw new TypeError(`${this.definition.name} has no index ${name}`);
    return index;
  }

  /** The row to store for `doc` at revision `rev`. */
  flatten(doc: Omit<T, 'rev'>, rev: number): FlatRow {
    const source = doc as Readonly<Record<string, unknown>>;
    const row: FlatRow = { _id: this.#identity(source[PRIMARY]), rev };
    for (const [name, kind] of this.#fields) {
      const value = source[name];
      if (value !== undefined) row[name] = flatValue(kind, value, () => `${this.definition.name}.${name}`);
    }
    return carry(row, unknownFields(doc));
  }

  /**
   * The document of a stored row. Unknown fields are carried along (unknown-fields.ts) and returned
   * by `flatten`. Kinds are not checked again, because the MAC covers them.
   */
  restoreStored(row: Readonly<Record<string, unknown>>): T {
    return carry(
      this.restore(row),
      splitUnknown(row, (name) => this.#kinds.has(name)),
    );
  }

  /** The document of a flat row, with its carried fields. */
  restore(row: Readonly<Record<string, unknown>>): T {
    const doc: Record<string, unknown> = { _id: row[PRIMARY], rev: row['rev'] };
    for (const [name, kind] of this.#fields) {
      const value = row[name];
      if (value === undefined || value === null) continue;
      doc[name] = kind === 'json' ? parseJson(value) : value;
    }
    return carry(doc, unknownFields(row)) as unknown as T;
  }

  /**
   * The parts of a complete key (`find`) or of a prefix, each checked against the kind of its
   * field.
   */
  key(index: ResolvedIndex, parts: readonly KeyPart[], whole: boolean): KeyPart[] {
    const { length } = index.fields;
    if (parts.length > length || (whole && index.unique && parts.length < length)) {
      throw new TypeError(`${this.definition.name}.${index.name} has ${length} key fields, got ${parts.length}`);
    }
    return parts.map((part, at) => {
      const field = index.fields[at] ?? PRIMARY;
      return flatValue(this.kind(field), part, () => `${this.definition.name}.${field}`);
    });
  }

  kind(field: string): FieldKind {
    const kind = this.#kinds.get(field);
    if (kind === undefined) throw new TypeError(`${this.definition.name} has no field ${field}`);
    return kind;
  }

  /** The values of an index's fields in a row; undefined if the row is not in that index. */
  indexed(index: ResolvedIndex, row: Readonly<Record<string, unknown>>): KeyPart[] | undefined {
    const values: KeyPart[] = [];
    for (const field of index.fields) {
      const value = row[field];
      if (!isKind(this.kind(field), value)) return undefined;
      values.push(value);
    }
    return values;
  }

  /** The values that order `doc` in `index` under a prefix of `length` fields. */
  behind(index: ResolvedIndex, length: number, doc: T): KeyPart[] {
    const row = this.flatten(doc, doc.rev);
    const values = this.indexed(index, row);
    if (values === undefined) throw new TypeError(`${this.definition.name}.${index.name} does not hold this document`);
    return [...(index.unique ? values : [...values, row._id]).slice(length)];
  }

  #resolve(name: string, index: IndexDefinition<T>): ResolvedIndex {
    if (name.startsWith('_') || index.fields.length === 0) throw new TypeError(`bad index ${name}`);
    for (const field of index.fields) {
      if (this.kind(field) === 'json') throw new TypeError(`${name}: a json field cannot be indexed`);
    }
    return { name, fields: index.fields, unique: index.unique === true };
  }

  #identity(id: unknown): string {
    if (typeof id !== 'string' || id === '') throw new TypeError(`${this.definition.name}: _id must be a string`);
    return wellFormed(id);
  }
}

/** True if a stored value has the kind of its field; `json` is text in a flat row. */
export function isKind(kind: FieldKind, value: unknown): value is KeyPart {
  switch (kind) {
    case 'string':
    case 'json':
      return typeof value === 'string';
    case 'boolean':
      return typeof value === 'boolean';
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'time':
      return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LAST_TIME;
  }
}

function flatValue(kind: FieldKind, value: unknown, where: () => string): KeyPart {
  if (kind === 'json') {
    if (typeof value !== 'object' || value === null) throw new TypeError(`${where()} must be an object or array`);
    return JSON.stringify(value);
  }
  if (!isKind(kind, value)) throw new TypeError(`${where()} must be of kind ${kind}`);
  if (typeof value === 'string') return wellFormed(value);
  // Minus zero equals zero but has other bytes; both must be found by the same key.
  return value === 0 ? 0 : value;
}

function parseJson(text: unknown): unknown {
  try {
    if (typeof text === 'string') return JSON.parse(text) as unknown;
  } catch {
    // Falls through to the same error as any row that Coffer did not write.
  }
  throw new DomainError('integrity_failed', { detail: 'A stored row does not have the fields that were written.' });
}
