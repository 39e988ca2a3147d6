import { Readable } from 'node:stream';
import { DomainError, StartRefused, isDomainError } from '../../kernel';
import { BlobStore, ByteRange, ListOptions } from '../blob-store';
import { BlobMover, NewHash } from './blob-mover';
import { BlobPlan, BlobPlans } from './blob-plan';

/**
 * The blob store of an installation, which says by its document where blobs lie. While they are moved from one store to another, each
 * blob is in the former one, in the new one, or for a moment in both. What makes that safe for processes that learn of it late:
 *
 * - A put reads the document before and after. Where the blob ended up somewhere else than new blobs go by then, the put moves it there
 *   itself before it resolves. So whatever was put before the move began is there for the migration's listing to find, and whatever was
 *   put later comes to the new place by itself.
 * - A reader that finds nothing reads the document and looks again at all places it names, the new one first: a blob moves one way only, so
 *   one that is missed by both looks is gone.
 * - A removal reads the document and removes from the former place first: what a mover copies at that moment is left in the new place at
 *   worst, where the sweep of blobs without a row finds it.
 *
 * A process without access to a place that the document names refuses with `store_unavailable`; it never says that a blob is not there.
 */
export class HomedBlobStore extends BlobStore {
  #known: BlobPlan | undefined;
  #installationId: string | undefined;
  /** By name. A move may bring one that the start did not open: what is in it is touched only when it is known to be ours. */
  readonly #opened = new Map<string, Promise<void>>();

  constructor(
    private readonly stores: ReadonlyMap<string, BlobStore>,
    private readonly plans: BlobPlans,
    private readonly newHash: NewHash,
  ) {
    super();
  }

  /** The store of this name, bound to the installation. @throws StartRefused where this process is not set up for it, or may not have it. */
  async opened(name: string): Promise<BlobStore> {
    const store = this.stores.get(name);
    if (store === undefined) {
      throw new StartRefused(
        `Blobs of this installation lie in ${name}: set ${VARIABLES.get(name) ?? 'BLOB_STORE'} too.`,
      );
    }
    const installationId = this.#installationId;
    if (installationId === undefined)
      throw new DomainError('store_unavailable', { detail: 'The service is starting.' });
    const opening = this.#opened.get(name) ?? store.open(installationId);
    this.#opened.set(name, opening);
    await opening.catch((error: unknown) => {
      this.#opened.delete(name);
      throw error;
    });
    return store;
  }

  async open(installationId: string): Promise<void> {
    this.#installationId = installationId;
    for (const name of placesOf(await this.fresh())) await this.opened(name);
  }

  async put(id: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    const at = target(await this.fresh());
    const size = await (await this.at(at)).put(id, source);
    await this.follow(id, at);
    return size;
  }

  async get(id: string, range?: ByteRange, chunkBytes?: number): Promise<Readable> {
    const found = await this.find((store) => store.get(id, range, chunkBytes).catch(ifAbsent));
    if (found === undefined) throw new DomainError('not_found');
    return found;
  }

  size(id: string): Promise<number | undefined> {
    return this.find((store) => store.size(id));
  }

  async remove(id: string): Promise<void> {
    for (const store of await this.all()) await store.remove(id);
  }

  async discard(id: string): Promise<void> {
    for (const store of await this.all()) await store.discard(id);
  }

  /** The former place first: what is moved meanwhile may be named twice, and nothing is left out. */
  async *list(options?: ListOptions): AsyncIterable<string> {
    for (const store of await this.all()) yield* store.list(options);
  }

  async sweep(ageMs: number): Promise<void> {
    for (const store of await this.all()) await store.sweep(ageMs);
  }

  async ping(): Promise<void> {
    // By what was heard last: asking the store here would report a store that hangs as a fault of the blobs.
    const places = this.#known === undefined ? [] : placesOf(this.#known);
    await Promise.all(places.map((name) => this.present(name).ping()));
  }

  private async follow(id: string, put: string): Promise<void> {
    for (let at = put; ;) {
      const to = target(await this.fresh());
      if (to === at) return;
      await new BlobMover(await this.at(at), await this.at(to), this.newHash).move(id);
      at = to;
    }
  }

  /** Looks where blobs were when this process last asked, and on a miss, twice, where they are now: one may move between two looks. */
  private async find<T>(look: (store: BlobStore) => Promise<T | undefined>): Promise<T | undefined> {
    const first = await this.lookAt(this.#known ?? (await this.fresh()), look);
    if (first !== undefined) return first;
    const plan = await this.fresh();
    return (await this.lookAt(plan, look)) ?? (plan.to === undefined ? undefined : this.lookAt(plan, look));
  }

  private async lookAt<T>(plan: BlobPlan, look: (store: BlobStore) => Promise<T | undefined>): Promise<T | undefined> {
    for (const name of placesOf(plan).reverse()) {
      const found = await look(await this.at(name));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private async all(): Promise<readonly BlobStore[]> {
    return Promise.all(placesOf(await this.fresh()).map((name) => this.at(name)));
  }

  private async fresh(): Promise<BlobPlan> {
    this.#known = await this.plans.current();
    return this.#known;
  }

  private async at(name: string): Promise<BlobStore> {
    this.present(name);
    return this.opened(name).catch((error: unknown) => {
      throw error instanceof StartRefused ? new DomainError('store_unavailable', { cause: error }) : error;
    });
  }

  private present(name: string): BlobStore {
    const store = this.stores.get(name);
    if (store === undefined) throw new DomainError('store_unavailable', { detail: 'A blob store is not set up here.' });
    return store;
  }
}

/** What a start has to set for each. */
const VARIABLES: ReadonlyMap<string, string> = new Map([
  ['s3', 'S3_BUCKET'],
  ['gridfs', 'MONGODB_URL'],
]);

/** Where new blobs go. */
const target = ({ home, to }: BlobPlan): string => to ?? home;

/** The former place first. */
const placesOf = ({ home, to }: BlobPlan): string[] => (to === undefined ? [home] : [home, to]);

function ifAbsent(error: unknown): undefined {
  if (isDomainError(error, 'not_found')) return undefined;
  throw error;
}
