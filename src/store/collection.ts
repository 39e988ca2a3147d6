import { CollectionDefinition, Doc, Draft } from './definition';

export type KeyPart = string | number | boolean;

/** Where a list goes on. Opaque and particular to an engine; http/ seals it before it leaves the service. */
export type Position = string;

export interface ListOptions {
  readonly limit: number;
  readonly after?: Position;
  readonly reverse?: boolean;
  /** Given by jobs: rows that fail MAC verification are skipped and named here instead of failing the page. */
  readonly onTampered?: (id: string) => void;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Undefined at the end. A page may hold fewer items than `limit` and still have one. */
  readonly next: Position | undefined;
}

/** A unique index refused a write. `index` is its name in the definition, `_id` for the primary key. */
export class DuplicateKey extends Error {
  constructor(
    readonly collection: string,
    readonly index: string,
  ) {
    super(`duplicate key in ${collection}.${index}`);
    this.name = 'DuplicateKey';
  }
}

/**
 * One collection of documents. Each method is atomic on one document and durable when it resolves. `index` is a name of the
 * definition or `_id`; an unknown one throws TypeError. All reject with DomainError `store_unavailable` within 2 seconds where the engine
 * does not answer (after which a write may or may not have happened), `storage_full` where its disk is full, and reads of a sealed
 * collection with `integrity_failed` where a row fails MAC verification (or, by the definition's `forged`, count it as absent).
 */
export interface Collection<T extends Doc> {
  readonly definition: CollectionDefinition<T>;
  /**
   * Stores a new document at its first revision and returns it. The definition decides that revision;
   * only a decorator that seals rows gives it. @throws DuplicateKey
   */
  insert(draft: Draft<T>, rev?: number): Promise<T>;
  /** The document under a whole key of a unique index (or the first one of another index). */
  find(index: string, ...key: KeyPart[]): Promise<T | undefined>;
  /**
   * The document under this id, linearizable: every write to it that was acknowledged before this call is seen, also right after a failover.
   * Slower than `find` on several servers. For a decision that a lagging read would make wrong.
   */
  findLinearizable(id: string): Promise<T | undefined>;
  /** Documents whose key in `index` starts with `prefix`, in index order, then by `_id`. */
  list(index: string, prefix: readonly KeyPart[], options: ListOptions): Promise<Page<T>>;
  /**
   * As `list`, but from the rows themselves and in no order: an engine that keeps its own indexes reads every row of the collection, so a
   * row that an index has lost is found too, and every write that was acknowledged before this call is seen, also right after a failover.
   * For what may not be undone. A page may be empty and still have a `next`.
   */
  scan(index: string, prefix: readonly KeyPart[], options: Omit<ListOptions, 'reverse'>): Promise<Page<T>>;
  /**
   * How many entries an index has under `prefix`, for display and limits alone: rows are not read. With `limit` it stops there. Without one
   * it takes as long as there are entries, and only each part of it has the deadline of an operation.
   */
  count(index: string, prefix: readonly KeyPart[], limit?: number): Promise<number>;
  /**
   * The position right behind `doc` in a list of `index` by a prefix of `length` fields, whichever values they have: so several lists in one
   * order go on from the same place. `doc` has all fields of the index.
   */
  position(index: string, length: number, doc: T): Position;
  /** Compare-and-set on `doc.rev`: the stored document with its new revision, or undefined where it moved on or is gone. @throws DuplicateKey */
  replace(doc: T): Promise<T | undefined>;
  /** Compare-and-set of each one; returns how many held. Not atomic over all. At most 1,000. */
  replaceMany(docs: readonly T[]): Promise<number>;
  /** Removes the document (if `rev` is given: only at that revision). False where it was not there. */
  remove(id: string, rev?: number): Promise<boolean>;
}

/** All documents of an installation: hands out its collections, sealed where their definition says so. A DI token. */
export abstract class Store {
  abstract collection<T extends Doc>(definition: CollectionDefinition<T>): Collection<T>;
  /**
   * Makes sure that indexes exist for every collection handed out so far, in bounded steps while other processes write. It drops none: a
   * release that serves beside this one may need it. Safe to repeat and to race, and it goes on where a killed one was.
   */
  abstract prepare(): Promise<void>;
  /**
   * Drops the indexes of those collections that this release does not use, once the installation document says that no other release
   * serves; else it does nothing. Returns how many went.
   */
  abstract dropFormerIndexes(): Promise<number>;
  /** Rejects within 1 second where the engine does not serve. */
  abstract ping(): Promise<void>;
  abstract close(): Promise<void>;
}
