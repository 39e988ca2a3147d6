import { mongo } from 'mongoose';
import { DomainError } from '../../kernel';
import { KeyPart, Position } from '../collection';
import { Doc } from '../definition';
import { FlatRow, isKind, PRIMARY, ResolvedIndex, RowShape } from '../row-shape';
import { BsonValue, MongoRows } from './mongo-rows';

export type Filter = mongo.Filter<mongo.Document & { _id: string }>;
export type Sort = Record<string, 1 | -1>;

/**
 * Filters and orders over one index. Values stand only where the operators are ours, so no key that a client sent is ever an operator.
 * Every field of the index is in the filter: the server may use a partial index only for a query that implies its condition.
 */
export class MongoQuery<T extends Doc> {
  readonly #rest: readonly string[];

  constructor(
    private readonly shape: RowShape<T>,
    private readonly rows: MongoRows<T>,
    private readonly index: ResolvedIndex,
    private readonly prefix: readonly KeyPart[],
  ) {
    const fields = index.unique ? index.fields : [...index.fields, PRIMARY];
    this.#rest = fields.slice(prefix.length);
  }

  filter(after?: Position, reverse = false): Filter {
    const filter: Filter = {};
    this.prefix.forEach((part, at) => (filter[this.#field(at)] = { $eq: this.rows.value(this.#field(at), part) }));
    for (const field of this.#rest) if (field !== PRIMARY) filter[field] = { $exists: true };
    if (after !== undefined) filter['$or'] = this.#beyond(this.#values(after), reverse ? '$lt' : '$gt');
    return filter;
  }

  sort(reverse = false): Sort {
    return Object.fromEntries(this.#rest.map((field) => [field, reverse ? -1 : 1]));
  }

  position(row: FlatRow): Position {
    return JSON.stringify(this.#rest.map((field) => row[field]));
  }

  /** The rows behind these values in the order of the remaining fields: a later first one, or the same and a later second one, ... */
  #beyond(values: readonly BsonValue[], operator: '$lt' | '$gt'): Filter[] {
    return this.#rest.map((field, at) => ({
      ...Object.fromEntries(this.#rest.slice(0, at).map((equal, i) => [equal, { $eq: values[i] }])),
      [field]: { [operator]: values[at] },
    }));
  }

  #values(position: Position): BsonValue[] {
    const values = parsePosition(position);
    if (values.length !== this.#rest.length) throw invalidCursor();
    return this.#rest.map((field, at) => {
      const value = values[at];
      if (!isKind(this.shape.kind(field), value)) throw invalidCursor();
      return this.rows.value(field, value);
    });
  }

  #field(at: number): string {
    return this.index.fields[at] ?? PRIMARY;
  }
}

function parsePosition(position: Position): unknown[] {
  try {
    const values: unknown = JSON.parse(position);
    if (Array.isArray(values)) return values as unknown[];
  } catch {
    // Falls through to the one answer for a position that is none of ours.
  }
  throw invalidCursor();
}

const invalidCursor = (): DomainError => new DomainError('invalid_cursor');
