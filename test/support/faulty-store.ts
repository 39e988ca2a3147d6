import { DomainError } from '../../src/kernel';
import { type Collection, type CollectionDefinition, type Doc, Store } from '../../src/store';
import { WriteFaults } from './write-faults';

/**
 * A real store whose writes fail as `faults` says, as those of an engine that stalls or is cut off.
 */
export class FaultyStore extends Store {
  constructor(
    private readonly real: Store,
    readonly faults = new WriteFaults(),
  ) {
    super();
  }

  collection<T extends Doc>(definition: CollectionDefinition<T>): Collection<T> {
    return faultyCollection(this.real.collection(definition), this.faults);
  }

  get definitions(): readonly CollectionDefinition<Doc>[] {
    return this.real.definitions;
  }

  prepare(): Promise<void> {
    return this.real.prepare();
  }

  dropFormerIndexes(): Promise<number> {
    return this.real.dropFormerIndexes();
  }

  ping(): Promise<void> {
    return this.real.ping();
  }

  async close(): Promise<void> {
    await this.faults.settled();
    await this.real.close();
  }
}

const WRITES: readonly string[] = ['insert', 'replace', 'replaceMany', 'remove'] satisfies (keyof Collection<Doc>)[];

/** The same collection, whose writes ask `faults`; its reads are those of the real one. */
export function faultyCollection<T extends Doc>(real: Collection<T>, faults: WriteFaults): Collection<T> {
  return new Proxy(real, {
    get: (target, method) => {
      const member: unknown = Reflect.get(target, method, target);
      if (typeof member !== 'function') return member;
      const act = member.bind(target) as (...args: unknown[]) => Promise<unknown>;
      if (typeof method !== 'string' || !WRITES.includes(method)) return act;
      return (...args: unknown[]): Promise<unknown> => {
        const write = { target: target.definition.name, method, id: idOf(args[0]), content: args[0] };
        return faults.run(
          write,
          () => act(...args),
          () => new DomainError('store_unavailable'),
        );
      };
    },
  });
}

/** Of a document, of the first one of several, or the id itself. */
function idOf(what: unknown): string {
  const first: unknown = Array.isArray(what) ? what[0] : what;
  return typeof first === 'string' ? first : ((first as Doc | undefined)?._id ?? '');
}
