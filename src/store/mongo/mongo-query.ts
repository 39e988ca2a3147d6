import { mongo } from 'mongoose';
import { DomainError } from '../../kernel';
import { KeyPart, Position } from '../collection';
import { Doc } from '../definition';
import { PRIMARY, ResolvedIndex } from '../row-shape';
import { BsonValue, MongoRows } from './mongo-rows';

export type Filter = mongo.Filter<mongo.Document & { _id: string }>;
export type Sort = Record<string, 1 | -1>;

/**
 * Filters and orders over one index. Values stand only where the operators are ours, so no key that a client sent is ever an operator.
 * Every field of the index is in the filter: the server may use a partial index only for a query that implies its condition. So is the type
 * of each value: a row with a null or a NaN for a number is none of ours, and no cursor could go on behind it.
 */
export class MongoQuery<T extends Doc> {
  readonly #rest: readonly string[];

  constructor(
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
    for (const field of this.#rest) filter[field] = this.rows.wellTyped(field);
    if (after !== undefined) filter['$or'] = this.#beyond(this.#values(after), reverse ? '$lt' : '$gt');
    return filter;
  }

  sort(reverse = false): Sort {
    return Object.fromEntries(this.#rest.map((field) => [field, reverse ? -1 : 1]));
  }

  /** What `position` needs of a row. */
  projection(): Sort {
    return Object.fromEntries(this.#rest.map((field) => [field, 1]));
  }

  /** Of a row as the server has it: one that somebody else wrote may hold what no row of ours does, and a list goes on behind it. */
  position(row: Readonly<Record<string, unknown>>): Position {
    return JSON.stringify(this.#rest.map((field) => this.rows.cursorPart(row[field])));
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
      const value = this.rows.fromCursor(field, values[at]);
      if (value === undefined) throw invalidCursor();
      return value;
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
