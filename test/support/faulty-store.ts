import { DomainError } from '../../src/kernel';
import {
  type Collection,
  type CollectionDefinition,
  type Doc,
  type Draft,
  type KeyPart,
  type ListOptions,
  type Page,
  type Position,
  Store,
} from '../../src/store';
import { WriteFaults } from './write-faults';

/** A real store whose writes fail as `faults` says, as those of an engine that stalls or is cut off. */
export class FaultyStore extends Store {
  constructor(
    private readonly real: Store,
    readonly faults = new WriteFaults(),
  ) {
    super();
  }

  collection<T extends Doc>(definition: CollectionDefinition<T>): Collection<T> {
    return new FaultyCollection(this.real.collection(definition), this.faults);
  }

  prepare(): Promise<void> {
    return this.real.prepare();
  }

  ping(): Promise<void> {
    return this.real.ping();
  }

  async close(): Promise<void> {
    await this.faults.settled();
    await this.real.close();
  }
}

export class FaultyCollection<T extends Doc> implements Collection<T> {
  constructor(
    private readonly real: Collection<T>,
    private readonly faults: WriteFaults,
  ) {}

  get definition(): CollectionDefinition<T> {
    return this.real.definition;
  }

  insert(draft: Draft<T>): Promise<T> {
    return this.#write('insert', draft._id, draft, () => this.real.insert(draft));
  }

  replace(doc: T): Promise<T | undefined> {
    return this.#write('replace', doc._id, doc, () => this.real.replace(doc));
  }

  replaceMany(docs: readonly T[]): Promise<number> {
    return this.#write('replaceMany', docs[0]?._id ?? '', docs, () => this.real.replaceMany(docs));
  }

  remove(id: string, rev?: number): Promise<boolean> {
    return this.#write('remove', id, undefined, () => this.real.remove(id, rev));
  }

  find(index: string, ...key: KeyPart[]): Promise<T | undefined> {
    return this.real.find(index, ...key);
  }

  list(index: string, prefix: readonly KeyPart[], options: ListOptions): Promise<Page<T>> {
    return this.real.list(index, prefix, options);
  }

  scan(...args: Parameters<Collection<T>['scan']>): ReturnType<Collection<T>['scan']> {
    return this.real.scan(...args);
  }

  count(index: string, prefix: readonly KeyPart[]): Promise<number> {
    return this.real.count(index, prefix);
  }

  position(index: string, length: number, doc: T): Position {
    return this.real.position(index, length, doc);
  }

  #write<R>(method: string, id: string, content: unknown, act: () => Promise<R>): Promise<R> {
    const write = { target: this.definition.name, method, id, content };
    return this.faults.run(write, act, () => new DomainError('store_unavailable'));
  }
}
