import { SystemSecrets } from '../kernel';
import { Collection, Store } from './collection';
import { CollectionDefinition, Doc } from './definition';
import { TamperedRowHook, AuthenticatedCollection } from './authenticated-collection';

export interface AuthenticatedStoreHooks {
  /**
   * Called when a row is read that fails MAC verification or does not match the query. Must not
   * throw; audit and metrics use it.
   */
  readonly onForgedRow: TamperedRowHook;
  /** Called when a collection is created. */
  readonly onCollection?: (name: string) => void;
}

/**
 * Adds row MACs to any engine, for all collections except those that are read before the integrity
 * key is available.
 */
export class AuthenticatedStore extends Store {
  readonly #collections = new Map<unknown, Collection<Doc>>();

  constructor(
    private readonly engine: Store,
    private readonly secrets: SystemSecrets,
    private readonly hooks: AuthenticatedStoreHooks,
  ) {
    super();
  }

  collection<T extends Doc>(definition: CollectionDefinition<T>): Collection<T> {
    if (!definition.authenticated) return this.engine.collection(definition);
    const known = this.#collections.get(definition);
    if (known !== undefined) return known as unknown as Collection<T>;
    const made = new AuthenticatedCollection(definition, this.engine, this.secrets, this.hooks.onForgedRow);
    this.hooks.onCollection?.(definition.name);
    this.#collections.set(definition, made as unknown as Collection<Doc>);
    return made;
  }

  get definitions(): readonly CollectionDefinition<Doc>[] {
    return [...this.#collections.values()].map(({ definition }) => definition);
  }

  prepare(): Promise<void> {
    return this.engine.prepare();
  }

  dropFormerIndexes(): Promise<number> {
    return this.engine.dropFormerIndexes();
  }

  ping(): Promise<void> {
    return this.engine.ping();
  }

  close(): Promise<void> {
    return this.engine.close();
  }
}
