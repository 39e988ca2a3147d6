import { Model } from 'mongoose';
import { Collection, Store } from '../collection';
import { PING_DEADLINE } from '../deadline';
import { CollectionDefinition, Doc } from '../definition';
import { RowShape } from '../row-shape';
import { MongoCollection } from './mongo-collection';
import { MongoAddress, MongoConnection } from './mongo-connection';
import { addIndexes, dropIndex, formerIndexes } from './mongo-index-upkeep';
import { BsonRow, schemaOf } from './mongo-rows';
import { MongoSchemaFence } from './mongo-schema-fence';

/**
 * Documents in MongoDB, on a replica set: a write is on the disks of a majority before it resolves, a read sees what a majority has.
 * Opens with its first use, so a server that is down at the start is one that does not answer yet.
 */
export class MongoStore extends Store {
  readonly #connection: MongoConnection;
  readonly #fence: MongoSchemaFence;
  readonly #collections = new Map<unknown, { readonly collection: Collection<Doc>; readonly model: Model<BsonRow> }>();
  readonly #prepared = new Set<Model<BsonRow>>();

  constructor(address: MongoAddress, schema?: number) {
    super();
    this.#connection = new MongoConnection(address);
    this.#fence = new MongoSchemaFence(this.#connection, schema);
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
    const made = new MongoCollection(definition, shape, model, this.#connection, this.#fence);
    this.#collections.set(definition, { collection: made as unknown as Collection<Doc>, model });
    return made;
  }

  async prepare(): Promise<void> {
    for (const { model } of this.#collections.values()) {
      if (this.#prepared.has(model)) continue;
      const build = (): Promise<void> => addIndexes(model);
      await this.#connection.run(build, model.collection.collectionName, 'none');
      this.#prepared.add(model);
    }
  }

  async dropFormerIndexes(): Promise<number> {
    const all = [...this.#collections.values()].map(({ model }) => model);
    let dropped = 0;
    for (const model of all) {
      const name = model.collection.collectionName;
      const views = all.filter((each) => each.collection.collectionName === name);
      const former = await this.#connection.run(() => formerIndexes(views), name);
      // Asked after the list: where no newer release has served by now, none of these is an index of it.
      if (former.length === 0 || !(await this.#fence.isAlone())) continue;
      for (const index of former) {
        if (await this.#connection.run(() => dropIndex(model, index), name, 'none')) dropped += 1;
      }
    }
    return dropped;
  }

  async ping(): Promise<void> {
    await this.#connection.ping(PING_DEADLINE);
    await this.#fence.check();
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
