import { DomainError } from '../../kernel';
import { admits, InstalledSchema, SCHEMA } from '../schema';
import { MongoConnection } from './mongo-connection';

/**
 * Milliseconds for which a result is cached. A process that slept longer reads again before its
 * next write.
 */
const MAX_AGE = 2_000;

/**
 * Rejects writes of a process that the installation no longer admits.
 * The server cannot check this together with a write, so a write may still succeed while a cached
 * result is valid. An operator raises the number only after all processes of the former release
 * have ended.
 */
export class MongoSchemaFence {
  #found: InstalledSchema = {};
  #readAt = -Infinity;
  #reading: Promise<InstalledSchema> | undefined;

  constructor(
    private readonly connection: MongoConnection,
    private readonly schema = SCHEMA,
  ) {}

  /** @throws DomainError `store_unavailable` */
  async check(): Promise<void> {
    const isFresh = performance.now() - this.#readAt < MAX_AGE;
    if (admits(isFresh ? this.#found : await this.#read(), this.schema)) return;
    throw new DomainError('store_unavailable', {
      detail: 'The installation was upgraded. This release may no longer write to it.',
    });
  }

  /**
   * True if all processes that may serve have this release: no older one may, and no newer one has
   * ever served.
   */
  async isAlone(): Promise<boolean> {
    const { schema, lowest_schema } = await this.#read();
    return schema === this.schema && lowest_schema === this.schema;
  }

  async #read(): Promise<InstalledSchema> {
    this.#reading ??= this.#readAnew().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readAnew(): Promise<InstalledSchema> {
    const askedAt = performance.now();
    const projection = { _id: 0, schema: 1, lowest_schema: 1 };
    const find = () =>
      this.connection.documents<{ _id: string }>('installation').findOne({ _id: 'installation' }, { projection });
    this.#found = ((await this.connection.run(find, 'installation')) ?? {}) as InstalledSchema;
    this.#readAt = askedAt;
    return this.#found;
  }
}
