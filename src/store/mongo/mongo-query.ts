import { mongo } from 'mongoose';
import { DomainError } from '../../kernel';
import { KeyPart, Position } from '../collection';
import { Doc } from '../definition';
import { PRIMARY, ResolvedIndex } from '../row-shape';
import { BsonValue, MongoRows } from './mongo-rows';

export type Filter = mongo.Filter<mongo.Document & { _id: string }>;
export type Sort = Record<string, 1 | -1>;

/**
 * Filters and orders over one index. Values appear only after Coffer's own operators, so no client
 * key can become an operator.
 * The filter includes every field of the index, because the server uses a partial index only for a
 * query that implies its condition. It includes each value's type too: a row with null or NaN for a
 * number is forged, and no cursor could continue after it.
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

  /** Fields of a row that `position` needs. */
  projection(): Sort {
    return Object.fromEntries(this.#rest.map((field) => [field, 1]));
  }

  /**
   * Position of a row as the server returns it: a foreign row may hold unexpected values, and the
   * list must continue after it.
   */
  position(row: Readonly<Record<string, unknown>>): Position {
    return JSON.stringify(this.#rest.map((field) => this.rows.cursorPart(row[field])));
  }

  /**
   * The rows after these values in the order of the remaining fields: a greater first one, or the
   * same and a greater second one, ...
   */
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
    // Falls through to the same error as any invalid position.
  }
  throw invalidCursor();
}

const invalidCursor = (): DomainError => new DomainError('invalid_cursor');
