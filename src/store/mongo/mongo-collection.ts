import { Model, mongo } from 'mongoose';
import { stretched } from '../../kernel';
import { Collection, KeyPart, ListOptions, Page, Position } from '../collection';
import { CollectionDefinition, Doc, Draft } from '../definition';
import { OPERATION_DEADLINE } from '../deadline';
import { firstRevision } from '../first-revision';
import { checkBatch, checkLimit } from '../limits';
import { FlatRow, PRIMARY, RowShape } from '../row-shape';
import { linearizable, MongoConnection, RowCollection } from './mongo-connection';
import { heldInSpiteOf } from './mongo-errors';
import { Filter, MongoQuery } from './mongo-query';
import { isReadable, nextPosition, pageStart } from './mongo-positions';
import { BsonRow, MongoRows } from './mongo-rows';
import { MongoSchemaFence } from './mongo-schema-fence';

/** Writes in one message: few enough for a busy server to finish well within the deadline. */
const BULK = 50;
/** Index entries in one part of a count. */
const COUNTED = 10_000;
/** The server aborts a query when the caller's deadline has passed. */
const bounded = () => ({ maxTimeMS: stretched(OPERATION_DEADLINE) });

/**
 * A separate read concern object, because the driver writes the session's time into it, and the
 * default object is shared by all reads.
 */
const inSession = (session: mongo.ClientSession) => ({ session, readConcern: { level: 'majority' as const } });

type PageRead = (documents: RowCollection, session?: mongo.ClientSession) => Promise<mongo.Document[]>;

/**
 * One collection in MongoDB. Each write has `rev` in its filter, which makes it a compare-and-set.
 */
export class MongoCollection<T extends Doc> implements Collection<T> {
  readonly #shape: RowShape<T>;
  readonly #rows: MongoRows<T>;

  constructor(
    readonly definition: CollectionDefinition<T>,
    shape: RowShape<T>,
    private readonly model: Model<BsonRow>,
    private readonly connection: MongoConnection,
    private readonly fence: MongoSchemaFence,
  ) {
    this.#shape = shape;
    this.#rows = new MongoRows(shape);
  }

  async insert(draft: Draft<T>, rev = firstRevision(this.definition)): Promise<T> {
    const row = this.#shape.flatten(draft, rev);
    await this.#write((documents) => documents.insertOne(this.#rows.toBson(row)));
    return this.#shape.restore(row);
  }

  async find(index: string, ...key: KeyPart[]): Promise<T | undefined> {
    const query = this.#query(index, key, true);
    const found = await this.#run((documents) =>
      documents.findOne(query.filter(), { sort: query.sort(), ...bounded() }),
    );
    return found === null ? undefined : this.#rows.fromBson(found);
  }

  /** By id only: the server guarantees linearizability for a query with at most one result. */
  async findLinearizable(id: string): Promise<T | undefined> {
    const filter = this.#query(PRIMARY, [id], true).filter();
    const found = await this.#run((documents) => documents.findOne(filter, linearizable()));
    return found === null ? undefined : this.#rows.fromBson(found);
  }

  list(index: string, prefix: readonly KeyPart[], options: ListOptions): Promise<Page<T>> {
    return this.#page(index, prefix, options, (read) => this.#run((documents) => read(documents)));
  }

  /**
   * The server updates its indexes in one transaction with the rows, so a list reflects the rows.
   */
  scan(index: string, prefix: readonly KeyPart[], options: Omit<ListOptions, 'reverse'>): Promise<Page<T>> {
    return this.#page(index, prefix, options, (read) =>
      this.#run((documents) => this.connection.afterAcknowledged((session) => read(documents, session))),
    );
  }

  async #page(
    index: string,
    prefix: readonly KeyPart[],
    { limit, after, reverse }: ListOptions,
    run: (read: PageRead) => Promise<mongo.Document[]>,
  ): Promise<Page<T>> {
    checkLimit(limit);
    const query = this.#query(index, prefix, false);
    const start = pageStart(after);
    const filter = query.filter(start.after, reverse);
    const sizes = { skip: start.skip, limit: limit + 1, batchSize: limit + 1 };
    const page = { sort: query.sort(reverse), ...sizes, ...bounded() };
    const found = await run((documents, session) =>
      documents.find(filter, { ...page, ...(session && inSession(session)) }).toArray(),
    );
    const shown = found.slice(0, limit);
    const positions = shown.map((bson) => query.position(bson));
    const next = found.length > limit ? nextPosition(start, positions) : undefined;
    return { items: shown.map((bson) => this.#rows.fromBson(bson)), next };
  }

  async count(index: string, prefix: readonly KeyPart[], limit = Infinity): Promise<number> {
    if (limit !== Infinity) checkLimit(limit);
    const query = this.#query(index, prefix, false);
    for (let count = 0, after: Position | undefined, skip = 0; ;) {
      const part = Math.min(COUNTED, limit - count);
      const [filter, options] = [query.filter(after), { skip, limit: part, ...bounded() }];
      const found = await this.#run((documents) => documents.countDocuments(filter, options));
      count += found;
      if (found < part || count >= limit) return count;
      const last = await this.#positionAt(query, filter, skip + part);
      if (last === undefined) return count;
      [after, skip] = isReadable(last) ? [last, 0] : [after, skip + part];
    }
  }

  /** The position of the entry with this number under `filter`. */
  async #positionAt(query: MongoQuery<T>, filter: Filter, number: number): Promise<Position | undefined> {
    const options = { sort: query.sort(), skip: number - 1, limit: 1, projection: query.projection(), ...bounded() };
    const [last] = await this.#run((documents) => documents.find(filter, options).toArray());
    return last && query.position(last);
  }

  position(index: string, length: number, doc: T): Position {
    return JSON.stringify(this.#shape.behind(this.#shape.index(index), length, doc));
  }

  async replace(doc: T): Promise<T | undefined> {
    const row = this.#shape.flatten(doc, doc.rev + 1);
    const { filter, replacement } = this.#compareAndSet(row);
    const result = await this.#write((documents) => documents.replaceOne(filter, replacement));
    return result.matchedCount === 1 ? this.#shape.restore(row) : undefined;
  }

  async replaceMany(docs: readonly T[]): Promise<number> {
    checkBatch(docs);
    const rows = docs.map((doc) => this.#shape.flatten(doc, doc.rev + 1));
    let held = 0;
    // In parts with a deadline each: a long bulk that makes progress must not count as an
    // unresponsive server.
    for (let at = 0; at < rows.length; at += BULK) held += await this.#replaceBulk(rows.slice(at, at + BULK));
    return held;
  }

  async remove(id: string, rev?: number): Promise<boolean> {
    const filter = {
      ...this.#query(PRIMARY, [id], true).filter(),
      ...(rev === undefined ? {} : { rev: { $eq: rev } }),
    };
    const result = await this.#write((documents) => documents.deleteOne(filter));
    return result.deletedCount === 1;
  }

  #replaceBulk(rows: readonly FlatRow[]): Promise<number> {
    const writes = rows.map((row) => ({ replaceOne: this.#compareAndSet(row) }));
    return this.#write(async (documents) => {
      const bulk = documents.bulkWrite(writes, { ordered: false });
      return bulk.then(({ matchedCount }) => matchedCount, heldInSpiteOf);
    });
  }

  #query(index: string, parts: readonly KeyPart[], whole: boolean): MongoQuery<T> {
    const place = this.#shape.index(index);
    return new MongoQuery(this.#rows, place, this.#shape.key(place, parts, whole));
  }

  #compareAndSet(row: FlatRow): { filter: Filter; replacement: Omit<BsonRow, '_id'> } {
    const { _id, ...replacement } = this.#rows.toBson(row);
    return { filter: { _id: { $eq: _id }, rev: { $eq: row.rev - 1 } }, replacement };
  }

  async #write<R>(act: (documents: RowCollection) => Promise<R>): Promise<R> {
    await this.fence.check();
    return this.#run(act);
  }

  /** Uses the driver's collection, so that mongoose hydrates no documents. */
  #run<R>(act: (documents: RowCollection) => Promise<R>): Promise<R> {
    const work = (): Promise<R> => act(this.model.collection as unknown as RowCollection);
    return this.connection.run(work, this.definition.name);
  }
}
