import { Readable } from 'node:stream';
import { DomainError, StartupError, isDomainError } from '../../kernel';
import { BlobStore, ByteRange, ListOptions } from '../blob-store';
import { missingBlobs } from '../owner';
import { BlobMover, NewHash } from './blob-mover';
import { BlobRelocation, BlobRelocations } from './blob-plan';

/**
 * The blob store of an installation, which says by its document where blobs lie. While they are
 * moved from one store to another, each blob is in the former one, in the new one, or for a moment
 * in both. What makes that safe for processes that learn of it late:
 *
 * - A put reads the document before and after. Where the blob ended up somewhere else than new
 *   blobs go by then, the put moves it there itself before it resolves. So whatever was put before
 *   the move began is there for the migration's listing to find, and whatever was put later comes
 *   to the new place by itself.
 * - A reader that finds nothing reads the document and looks again at all places it names, the new
 *   one first: a blob moves one way only, so one that is missed by both looks is gone.
 * - A removal reads the document and removes from the former place first: what a mover copies at
 *   that moment is left in the new place at worst, where the sweep of blobs without a row finds it.
 *
 * A process without access to a place that the document names refuses with `store_unavailable`; it
 * never says that a blob is not there.
 */
export class RelocatableBlobStore extends BlobStore {
  #known: BlobRelocation | undefined;
  #installation: string | undefined;
  /**
   * By name and recorded location. A move may bring one that the start did not open: it is touched
   * only when it is known to be ours.
   */
  readonly #opened = new Map<string, Promise<string>>();

  constructor(
    private readonly stores: ReadonlyMap<string, BlobStore>,
    private readonly plans: BlobRelocations,
    private readonly newHash: NewHash,
  ) {
    super();
  }

  /**
   * Opens what the installation document names. Resolves with the location id of the home.
   * @throws StartupError
   */
  async open(installationId: string): Promise<string> {
    this.#installation = installationId;
    const plan = await this.#fresh();
    const [home = ''] = await Promise.all(placesOf(plan).map((name) => this.#bound(plan, name)));
    return home;
  }

  /**
   * For a first start, whose document cannot be read yet: makes the marks of the store, or finds
   * those of another start that was first.
   */
  async claim(name: string, installationId: string): Promise<string> {
    return this.#configured(name).open(installationId, 'new');
  }

  /**
   * Takes the media as they are for those of the installation, marks or not.
   * @throws StartupError where they are another installation's.
   */
  async adopt(installationId: string): Promise<readonly string[]> {
    const names = placesOf(await this.#fresh());
    for (const name of names) await this.plans.adopt(name, await this.claim(name, installationId));
    await this.open(installationId);
    return names;
  }

  /**
   * The store of this name as the installation document knows it.
   * @throws StartupError where this process is not set up for it.
   */
  async located(name: string): Promise<BlobStore> {
    await this.#bound(await this.#fresh(), name);
    return this.#configured(name);
  }

  /** A store that blobs are to move to, which may be new. @throws StartupError */
  async target(name: string): Promise<{ readonly store: BlobStore; readonly location: string }> {
    const plan = await this.#fresh();
    const store = this.#configured(name);
    const isInUse = placesOf(plan).includes(name);
    const location = isInUse ? await this.#bound(plan, name) : await store.open(this.#installationId(), 'new');
    return { store, location };
  }

  async put(id: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    const plan = await this.#fresh();
    const at = newest(plan);
    const size = await (await this.#at(plan, at)).put(id, source);
    await this.#follow(id, at);
    return size;
  }

  async get(id: string, range?: ByteRange, chunkBytes?: number): Promise<Readable> {
    const found = await this.#find((store) => store.get(id, range, chunkBytes).catch(ifAbsent));
    if (found === undefined) throw new DomainError('not_found');
    return found;
  }

  size(id: string): Promise<number | undefined> {
    return this.#find((store) => store.size(id));
  }

  async remove(id: string): Promise<void> {
    for (const store of await this.#all()) await store.remove(id);
  }

  async discard(id: string): Promise<void> {
    for (const store of await this.#all()) await store.discard(id);
  }

  /**
   * The former place first: what is moved meanwhile may be named twice, and nothing is left out.
   */
  async *list(options?: ListOptions): AsyncIterable<string> {
    for (const store of await this.#all()) yield* store.list(options);
  }

  async sweep(ageMs: number): Promise<void> {
    for (const store of await this.#all()) await store.sweep(ageMs);
  }

  async ping(): Promise<void> {
    // By what was heard last: asking the store here would report a store that hangs as a fault of
    // the blobs.
    const plan = this.#known;
    if (plan === undefined) return;
    await Promise.all(placesOf(plan).map(async (name) => (await this.#at(plan, name)).ping()));
  }

  async #follow(id: string, put: string): Promise<void> {
    for (let at = put; ;) {
      const plan = await this.#fresh();
      const to = newest(plan);
      if (to === at) return;
      const isMeant = async (): Promise<boolean> => newest(await this.#fresh()) === to;
      const mover = new BlobMover(await this.#at(plan, at), await this.#at(plan, to), this.newHash, isMeant);
      const isMoved = await mover.move(id).then(
        () => true,
        async (error: unknown) => {
          // Turned round meanwhile: the original is where it was.
          if (isDomainError(error, 'conflict') && !(await isMeant())) return false;
          throw error;
        },
      );
      if (isMoved) at = to;
    }
  }

  /**
   * Looks where blobs were when this process last asked, and on a miss, twice, where they are now:
   * one may move between two looks.
   */
  async #find<T>(look: (store: BlobStore) => Promise<T | undefined>): Promise<T | undefined> {
    const first = await this.#lookAt(this.#known ?? (await this.#fresh()), look);
    if (first !== undefined) return first;
    const plan = await this.#fresh();
    return (await this.#lookAt(plan, look)) ?? (plan.target === undefined ? undefined : this.#lookAt(plan, look));
  }

  async #lookAt<T>(plan: BlobRelocation, look: (store: BlobStore) => Promise<T | undefined>): Promise<T | undefined> {
    for (const name of placesOf(plan).reverse()) {
      const found = await look(await this.#at(plan, name));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #all(): Promise<readonly BlobStore[]> {
    const plan = await this.#fresh();
    return Promise.all(placesOf(plan).map((name) => this.#at(plan, name)));
  }

  async #fresh(): Promise<BlobRelocation> {
    this.#known = await this.plans.current();
    return this.#known;
  }

  #installationId(): string {
    if (this.#installation !== undefined) return this.#installation;
    throw new DomainError('store_unavailable', { detail: 'The service is starting.' });
  }

  /**
   * Single-flight, and tried anew after a failure. Resolves with the location id.
   * @throws StartupError
   */
  #bound(plan: BlobRelocation, name: string): Promise<string> {
    const key = `${name} ${plan.locations[name] ?? ''}`;
    let opening = this.#opened.get(key);
    if (opening === undefined) {
      opening = this.#bind(plan, name);
      this.#opened.set(key, opening);
      opening.catch(() => this.#opened.delete(key));
    }
    return opening;
  }

  /**
   * An installation from before there were location ids records that of the first process that
   * opens the store.
   */
  async #bind({ locations }: BlobRelocation, name: string): Promise<string> {
    const recorded = locations[name];
    const store = this.#configured(name);
    if (recorded !== undefined) return store.open(this.#installationId(), { location: recorded });
    const location = await store.open(this.#installationId(), 'owned');
    const decided = (await this.plans.record(name, location)).locations[name];
    if (decided !== location) throw missingBlobs(`The blob store ${name} of this process`);
    return location;
  }

  async #at(plan: BlobRelocation, name: string): Promise<BlobStore> {
    const store = this.#present(name);
    await this.#bound(plan, name).catch((error: unknown) => {
      throw error instanceof StartupError ? new DomainError('store_unavailable', { cause: error }) : error;
    });
    return store;
  }

  #configured(name: string): BlobStore {
    const store = this.stores.get(name);
    if (store !== undefined) return store;
    throw new StartupError(
      `Blobs of this installation lie in ${name}: set ${VARIABLES.get(name) ?? 'BLOB_STORE'} too.`,
    );
  }

  #present(name: string): BlobStore {
    const store = this.stores.get(name);
    if (store === undefined)
      throw new DomainError('store_unavailable', {
        detail: 'This process has no configuration for one of the blob stores.',
      });
    return store;
  }
}

/** What a start has to set for each. */
const VARIABLES: ReadonlyMap<string, string> = new Map([
  ['s3', 'S3_BUCKET'],
  ['gridfs', 'MONGODB_URL'],
]);

/** Where new blobs go. */
const newest = ({ current, target }: BlobRelocation): string => target ?? current;

/** The former place first. */
const placesOf = ({ current, target }: BlobRelocation): string[] =>
  target === undefined ? [current] : [current, target];

function ifAbsent(error: unknown): undefined {
  if (isDomainError(error, 'not_found')) return undefined;
  throw error;
}
