import { IndexDefinition as MongooseIndex, IndexOptions, Schema } from 'mongoose';
import { KeyPart } from '../collection';
import { Doc, FieldKind } from '../definition';
import { FlatRow, PRIMARY, ResolvedIndex, RowShape } from '../row-shape';

export type BsonValue = string | number | boolean | Date;
export type BsonRow = { _id: string; rev: number } & Record<string, BsonValue>;

const TYPES = { string: String, number: Number, boolean: Boolean, time: Date, json: String } as const;
/** No name in a definition starts with an underscore. */
const EXPIRY = '_expiry';

/** The mongoose schema of a collection. It names fields and indexes; rows go past its hydration (10 to 20 us a document). */
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

/** `_id` ends the key of an index that is not unique, so that it serves the order of its lists as well. */
function indexKeys({ fields, unique }: ResolvedIndex): MongooseIndex {
  const keys = unique ? fields : [...fields, PRIMARY];
  return Object.fromEntries(keys.map((field) => [field, 1]));
}

/** Partial: a row that lacks a field is not in the index. A null instead would count as a value, and clash in a unique one. */
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
    const bson: BsonRow = { ...row };
    for (const name of this.#times) if (row[name] !== undefined) bson[name] = new Date(row[name] as number);
    return bson;
  }

  fromBson(bson: Readonly<Record<string, unknown>>): T {
    const row = { ...bson };
    for (const name of this.#times) if (row[name] instanceof Date) row[name] = row[name].getTime();
    return this.shape.restore(row);
  }

  value(field: string, part: KeyPart): BsonValue {
    return bsonValue(this.shape.kind(field), part);
  }
}

const bsonValue = (kind: FieldKind, part: KeyPart): BsonValue => (kind === 'time' ? new Date(Number(part)) : part);
