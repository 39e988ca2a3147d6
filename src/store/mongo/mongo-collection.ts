import { Model } from 'mongoose';
import { Collection, KeyPart, ListOptions, Page, Position } from '../collection';
import { CollectionDefinition, Doc, Draft } from '../definition';
import { checkBatch, checkLimit } from '../limits';
import { FlatRow, PRIMARY, RowShape } from '../row-shape';
import { MongoConnection, RowCollection } from './mongo-connection';
import { heldInSpiteOf } from './mongo-errors';
import { Filter, MongoQuery } from './mongo-query';
import { BsonRow, MongoRows } from './mongo-rows';

/** Writes in one message: few enough that a busy server gets through them well within the deadline. */
const BULK = 50;

/** One collection in MongoDB. Writes are conditional on `rev` in their filter, which makes each one a compare-and-set. */
export class MongoCollection<T extends Doc> implements Collection<T> {
  readonly #shape: RowShape<T>;
  readonly #rows: MongoRows<T>;

  constructor(
    readonly definition: CollectionDefinition<T>,
    shape: RowShape<T>,
    private readonly model: Model<BsonRow>,
    private readonly connection: MongoConnection,
  ) {
    this.#shape = shape;
    this.#rows = new MongoRows(shape);
  }

  async insert(draft: Draft<T>): Promise<T> {
    const row = this.#shape.flatten(draft, 1);
    await this.#run((documents) => documents.insertOne(this.#rows.toBson(row)));
    return this.#shape.restore(row);
  }

  async find(index: string, ...key: KeyPart[]): Promise<T | undefined> {
    const query = this.#query(index, key, true);
    const found = await this.#run((documents) => documents.findOne(query.filter(), { sort: query.sort() }));
    return found === null ? undefined : this.#rows.fromBson(found);
  }

  async list(index: string, prefix: readonly KeyPart[], options: ListOptions): Promise<Page<T>> {
    const { limit, after, reverse } = options;
    checkLimit(limit);
    const query = this.#query(index, prefix, false);
    const filter = query.filter(after, reverse);
    const found = await this.#run((documents) =>
      documents.find(filter, { sort: query.sort(reverse), limit: limit + 1, batchSize: limit + 1 }).toArray(),
    );
    const items = found.slice(0, limit).map((bson) => this.#rows.fromBson(bson));
    const last = found.length > limit ? items.at(-1) : undefined;
    return { items, next: last && query.position(last as unknown as FlatRow) };
  }

  async count(index: string, prefix: readonly KeyPart[]): Promise<number> {
    const query = this.#query(index, prefix, false);
    return this.#run((documents) => documents.countDocuments(query.filter()));
  }

  position(index: string, length: number, doc: T): Position {
    return JSON.stringify(this.#shape.behind(this.#shape.index(index), length, doc));
  }

  async replace(doc: T): Promise<T | undefined> {
    const row = this.#shape.flatten(doc, doc.rev + 1);
    const { filter, replacement } = this.#compareAndSet(row);
    const result = await this.#run((documents) => documents.replaceOne(filter, replacement));
    return result.matchedCount === 1 ? this.#shape.restore(row) : undefined;
  }

  async replaceMany(docs: readonly T[]): Promise<number> {
    checkBatch(docs);
    const rows = docs.map((doc) => this.#shape.flatten(doc, doc.rev + 1));
    let held = 0;
    // In parts with a deadline each: a long bulk that goes ahead is not a server that does not answer.
    for (let at = 0; at < rows.length; at += BULK) held += await this.#replaceBulk(rows.slice(at, at + BULK));
    return held;
  }

  async remove(id: string, rev?: number): Promise<boolean> {
    const filter = {
      ...this.#query(PRIMARY, [id], true).filter(),
      ...(rev === undefined ? {} : { rev: { $eq: rev } }),
    };
    const result = await this.#run((documents) => documents.deleteOne(filter));
    return result.deletedCount === 1;
  }

  #replaceBulk(rows: readonly FlatRow[]): Promise<number> {
    const writes = rows.map((row) => ({ replaceOne: this.#compareAndSet(row) }));
    return this.#run(async (documents) => {
      const bulk = documents.bulkWrite(writes, { ordered: false });
      return bulk.then(({ matchedCount }) => matchedCount, heldInSpiteOf);
    });
  }

  #query(index: string, parts: readonly KeyPart[], whole: boolean): MongoQuery<T> {
    const place = this.#shape.index(index);
    return new MongoQuery(this.#shape, this.#rows, place, this.#shape.key(place, parts, whole));
  }

  #compareAndSet(row: FlatRow): { filter: Filter; replacement: Omit<BsonRow, '_id'> } {
    const { _id, ...replacement } = this.#rows.toBson(row);
    return { filter: { _id: { $eq: _id }, rev: { $eq: row.rev - 1 } }, replacement };
  }

  /** On the model's collection: no document is hydrated, neither into nor out of the store. */
  #run<R>(act: (documents: RowCollection) => Promise<R>): Promise<R> {
    const work = (): Promise<R> => act(this.model.collection as unknown as RowCollection);
    return this.connection.run(work, this.definition.name);
  }
}
