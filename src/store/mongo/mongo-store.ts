import { Model, mongo } from 'mongoose';
import { Collection, Store } from '../collection';
import { PING_DEADLINE } from '../deadline';
import { CollectionDefinition, Doc } from '../definition';
import { RowShape } from '../row-shape';
import { MongoCollection } from './mongo-collection';
import { MongoAddress, MongoConnection, RowCollection } from './mongo-connection';
import { hasCode } from './mongo-errors';
import { createIndex } from './mongo-indexes';
import { BsonRow, schemaOf } from './mongo-rows';

/** An index of this name, or with these keys, is there with other options: IndexOptionsConflict, IndexKeySpecsConflict. */
const INDEX_CONFLICT = [85, 86];
/** Another process dropped it first. */
const INDEX_NOT_FOUND = 27;

/**
 * Documents in MongoDB, on a replica set: a write is on the disks of a majority before it resolves, a read sees what a majority has.
 * Opens with its first use, so a server that is down at the start is one that does not answer yet.
 */
export class MongoStore extends Store {
  readonly #connection: MongoConnection;

  readonly #collections = new Map<unknown, { readonly collection: Collection<Doc>; readonly model: Model<BsonRow> }>();
  readonly #prepared = new Set<Model<BsonRow>>();

  constructor(address: MongoAddress) {
    super();
    this.#connection = new MongoConnection(address);
  }

  /** For blobs/gridfs, which keeps its chunks in the same database. Opens with its first use, and closes with the store. */
  get connection(): MongoConnection {
    return this.#connection;
  }

  collection<T extends Doc>(definition: CollectionDefinition<T>): Collection<T> {
    const known = this.#collections.get(definition);
    if (known !== undefined) return known.collection as unknown as Collection<T>;
    const shape = new RowShape(definition);
    // Numbered: two definitions may look at one collection, one of them without its seals.
    const model = this.#connection.model(`${definition.name}#${this.#collections.size}`, schemaOf(shape));
    const made = new MongoCollection(definition, shape, model, this.#connection);
    this.#collections.set(definition, { collection: made as unknown as Collection<Doc>, model });
    return made;
  }

  async prepare(): Promise<void> {
    for (const { model } of this.#collections.values()) {
      if (this.#prepared.has(model)) continue;
      const build = (): Promise<void> => createIndexes(model);
      await this.#connection.run(build, model.collection.collectionName, 'none');
      this.#prepared.add(model);
    }
  }

  ping(): Promise<void> {
    return this.#connection.ping(PING_DEADLINE);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

/** Indexes that a definition no longer names stay: during a rolling upgrade the other release still uses them. */
async function createIndexes(model: Model<BsonRow>): Promise<void> {
  const documents = model.collection as unknown as RowCollection;
  for (const [keys, options] of model.schema.indexes()) {
    const create = (): Promise<void> =>
      createIndex(documents, keys as Record<string, 1>, options as mongo.IndexOptions);
    try {
      await create();
    } catch (error) {
      if (!hasCode(error, ...INDEX_CONFLICT) || options.name === undefined) throw error;
      await documents.dropIndex(options.name).catch((missing: unknown) => {
        if (!hasCode(missing, INDEX_NOT_FOUND)) throw missing;
      });
      await create();
    }
  }
}
