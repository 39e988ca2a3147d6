import { Clock, SECOND } from '../../kernel';
import { Collection, Store } from '../collection';
import { PING_DEADLINE, withDeadline } from '../deadline';
import { CollectionDefinition, Doc } from '../definition';
import { EmbeddedCollection } from './embedded-collection';
import { Environment, Rows } from './environment';
import { isFor, Slot } from './index-table';
import { buildIndexes, dropIndexes } from './index-upkeep';
import { SchemaFence } from './schema-fence';
import { sweepExpired } from './sweeper';

const SWEEP_INTERVAL = 60 * SECOND;

/**
 * Documents in LMDB in one folder, which several processes of one host may share. Opens without
 * waiting.
 */
export class EmbeddedStore extends Store {
  readonly #environment: Environment;
  readonly #fence: SchemaFence;
  readonly #collections = new Map<unknown, EmbeddedCollection<Doc>>();
  readonly #timer: NodeJS.Timeout;
  #sweep: Promise<number> = Promise.resolve(0);
  #closed = false;

  /** @throws StartupError if the folder is unusable */
  constructor(
    folder: string,
    private readonly clock: Clock,
    schema?: number,
  ) {
    super();
    this.#fence = new SchemaFence(schema);
    this.#environment = new Environment(folder, (rows) => this.#fence.check(rows));
    // After a failed sweep (on a full disk, for example) the next one catches up; each read checks
    // the expiry itself.
    this.#timer = setInterval(() => void this.sweep().catch(() => undefined), SWEEP_INTERVAL).unref();
  }

  collection<T extends Doc>(definition: CollectionDefinition<T>): Collection<T> {
    const known = this.#collections.get(definition);
    if (known !== undefined) return known as unknown as Collection<T>;
    const made = new EmbeddedCollection(definition, this.#environment);
    this.#collections.set(definition, made as unknown as EmbeddedCollection<Doc>);
    return made;
  }

  get definitions(): readonly CollectionDefinition<Doc>[] {
    return [...this.#collections.values()].map(({ definition }) => definition);
  }

  async prepare(): Promise<void> {
    for (const collection of this.#collections.values()) await buildIndexes(this.#environment, collection);
  }

  async dropFormerIndexes(): Promise<number> {
    const mayDrop = (rows: Rows): boolean => this.#fence.isAlone(rows);
    let dropped = 0;
    for (const collection of this.#collections.values()) {
      // Several definitions may refer to one collection.
      const views = [...this.#collections.values()].filter(({ name }) => name === collection.name);
      const wanted = views.flatMap(({ layout }) => layout.declared);
      const isUnwanted = (slot: Slot): boolean =>
        slot.state === 'dropping' || !wanted.some((index) => isFor(slot, index));
      dropped += await dropIndexes(this.#environment, collection, isUnwanted, mayDrop);
    }
    return dropped;
  }

  /**
   * An empty write: it proves that the write lock, which another process may hold, is available. It
   * does not touch the disk.
   */
  async ping(): Promise<void> {
    await withDeadline(
      this.#environment.write(() => undefined),
      PING_DEADLINE,
    );
  }

  /**
   * Removes rows whose `expiry` has passed and returns their number. Runs every minute, one sweep
   * at a time.
   */
  sweep(): Promise<number> {
    const go = async (): Promise<number> => {
      let removed = 0;
      for (const collection of this.#collections.values()) {
        if (!this.#closed) removed += await sweepExpired(this.#environment, collection, this.clock.now());
      }
      return removed;
    };
    return (this.#sweep = this.#sweep.then(go, go));
  }

  /**
   * Copies a snapshot of the store into `folder`, as a complete store, while all processes continue
   * to write.
   */
  copyTo(folder: string): Promise<void> {
    return this.#environment.copyTo(folder);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#sweep.catch(() => undefined);
    await this.#environment.close();
  }
}
