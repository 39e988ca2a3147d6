import { IndexDefinition as MongooseIndex, IndexOptions, mongo, Schema } from 'mongoose';
import { KeyPart } from '../collection';
import { Doc, FieldKind } from '../definition';
import { FlatRow, isKind, LAST_TIME, PRIMARY, ResolvedIndex, RowShape } from '../row-shape';
import { expanded } from '../unknown-fields';

export type BsonValue = string | number | boolean | Date | mongo.Long;
export type BsonRow = { _id: string; rev: number } & Record<string, BsonValue>;

const TYPES = { string: String, number: Number, boolean: Boolean, time: Date, json: String } as const;
/** No name in a definition starts with an underscore. */
export const EXPIRY = '_expiry';

/**
 * The mongoose schema of a collection. It declares fields and indexes; rows bypass hydration, which
 * costs 10 to 20 us a document.
 */
export function schemaOf<T extends Doc>(shape: RowShape<T>): Schema {
  const { definition, fields } = shape;
  const paths = Object.fromEntries(fields.map(([name, kind]) => [name, TYPES[kind]]));
  const schema = new Schema(
    { _id: String, rev: Number, ...paths },
    {
      collection: definition.name,
      versionKey: false,
      strict: 'throw',
      // A createCollection in the background would race the first insert.
      autoCreate: false,
      autoIndex: false,
      bufferCommands: false,
    },
  );
  for (const index of shape.indexes) schema.index(indexKeys(index), indexOptions(index));
  if (definition.expiry !== undefined)
    schema.index({ [definition.expiry]: 1 }, { name: EXPIRY, expireAfterSeconds: 0 });
  return schema;
}

/**
 * `_id` ends the key of an index that is not unique, so that the index also serves the order of
 * lists.
 */
function indexKeys({ fields, unique }: ResolvedIndex): MongooseIndex {
  const keys = unique ? fields : [...fields, PRIMARY];
  return Object.fromEntries(keys.map((field) => [field, 1]));
}

/**
 * Partial: a row that lacks a field is not in the index. A null would count as a value and conflict
 * in a unique index.
 */
function indexOptions({ name, fields, unique }: ResolvedIndex): IndexOptions {
  const present = Object.fromEntries(fields.map((field) => [field, { $exists: true }]));
  return { name, partialFilterExpression: present, ...(unique ? { unique } : {}) };
}

export class MongoRows<T extends Doc> {
  readonly #times: readonly string[];

  constructor(private readonly shape: RowShape<T>) {
    this.#times = shape.fields.filter(([, kind]) => kind === 'time').map(([name]) => name);
  }

  toBson(row: FlatRow): BsonRow {
    const bson = expanded(row) as BsonRow;
    for (const name of this.#times) if (row[name] !== undefined) bson[name] = new Date(row[name] as number);
    return bson;
  }

  fromBson(bson: Readonly<Record<string, unknown>>): T {
    const row = { ...bson };
    for (const name of this.#times) if (row[name] instanceof Date) row[name] = row[name].getTime();
    return this.shape.restoreStored(row);
  }

  value(field: string, part: KeyPart): BsonValue {
    return bsonValue(this.shape.kind(field), part);
  }

  /**
   * A condition that holds for every value that Coffer wrote to this field, and for no value that a
   * cursor cannot follow.
   */
  wellTyped(field: string): Readonly<Record<string, unknown>> {
    return { $exists: true, ...BOUNDS[this.shape.kind(field)] };
  }

  /**
   * The cursor form of a value. An integer beyond JSON's range is planted, but a list must still
   * pass it.
   */
  cursorPart(value: unknown): unknown {
    if (value instanceof Date) return value.getTime();
    return value instanceof mongo.Long ? { long: value.toString() } : value;
  }

  /** Returns undefined for a value that cannot be part of a cursor. */
  fromCursor(field: string, part: unknown): BsonValue | undefined {
    const kind = this.shape.kind(field);
    if (isKind(kind, part)) return bsonValue(kind, part);
    const long = kind === 'number' ? (part as { long?: unknown } | null | undefined)?.long : undefined;
    return typeof long === 'string' && WHOLE.test(long) ? mongo.Long.fromString(long) : undefined;
  }
}

/** By type and by range, because NaN is a number for the server too. */
const BOUNDS: Readonly<Record<FieldKind, Readonly<Record<string, unknown>>>> = {
  string: { $type: 'string' },
  json: { $type: 'string' },
  boolean: { $type: 'bool' },
  number: { $type: ['double', 'int', 'long'], $gte: -Number.MAX_VALUE, $lte: Number.MAX_VALUE },
  time: { $type: 'date', $gte: new Date(0), $lte: new Date(LAST_TIME) },
};
const WHOLE = /^-?\d{1,19}$/;

const bsonValue = (kind: FieldKind, part: KeyPart): BsonValue => (kind === 'time' ? new Date(Number(part)) : part);
