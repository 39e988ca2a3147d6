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
 * Documents in a MongoDB replica set: a write resolves when it is on the disks of a majority, and a
 * read returns majority-committed data.
 * Opens at its first use, so an unavailable server at start-up is treated like one that does not
 * respond.
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

  /**
   * For blobs/gridfs, which stores its chunks in the same database. Opens at its first use, and
   * closes with the store.
   */
  get connection(): MongoConnection {
    return this.#connection;
  }

  collection<T extends Doc>(definition: CollectionDefinition<T>): Collection<T> {
    const known = this.#collections.get(definition);
    if (known !== undefined) return known.collection as unknown as Collection<T>;
    const shape = new RowShape(definition);
    // Numbered, because two definitions may refer to one collection, one of them without MACs.
    const model = this.#connection.model(`${definition.name}#${this.#collections.size}`, schemaOf(shape));
    const made = new MongoCollection(definition, shape, model, this.#connection, this.#fence);
    this.#collections.set(definition, { collection: made as unknown as Collection<Doc>, model });
    return made;
  }

  get definitions(): readonly CollectionDefinition<Doc>[] {
    return [...this.#collections.values()].map(({ collection }) => collection.definition);
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
      // Checked after the list: if no newer release has served by now, none of these indexes
      // belongs to one.
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
