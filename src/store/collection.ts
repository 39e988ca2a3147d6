import { CollectionDefinition, Doc, Draft } from './definition';

export type KeyPart = string | number | boolean;

/**
 * Continuation of a list. Opaque and specific to an engine; http/ encrypts it before it leaves the
 * service.
 */
export type Position = string;

export interface ListOptions {
  readonly limit: number;
  readonly after?: Position;
  readonly reverse?: boolean;
  /**
   * For jobs: rows that fail MAC verification are skipped and reported here instead of failing the
   * page.
   */
  readonly onTampered?: (id: string) => void;
}

export interface Page<T> {
  readonly items: readonly T[];
  /**
   * Undefined on the last page. A page may hold fewer items than `limit` and still have a next
   * page.
   */
  readonly next: Position | undefined;
}

/**
 * A unique index rejected a write. `index` is its name in the definition, `_id` for the primary
 * key.
 */
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
 * One collection of documents. Each method is atomic on one document and durable when it resolves.
 * `index` is a name of the definition or `_id`; an unknown name throws TypeError.
 * All methods reject with DomainError `store_unavailable` within 2 seconds if the engine does not
 * respond (a write may then have happened or not), and with `storage_full` if the disk is full.
 * Reads of an authenticated collection reject with `integrity_failed` if a row fails MAC
 * verification (or, by the definition's `tampered`, treat the row as absent).
 */
export interface Collection<T extends Doc> {
  readonly definition: CollectionDefinition<T>;
  /**
   * Inserts a document at its first revision and returns it. The definition determines that
   * revision; only the decorator that adds MACs passes it.
   * @throws DuplicateKey
   */
  insert(draft: Draft<T>, rev?: number): Promise<T>;
  /**
   * Returns the document with a complete key of a unique index (or the first one of another index).
   */
  find(index: string, ...key: KeyPart[]): Promise<T | undefined>;
  /**
   * Returns the document with this id, linearizable: it reflects every write acknowledged before
   * this call, even after a failover.
   * Slower than `find` on several servers; for decisions that a stale read would make wrong.
   */
  findLinearizable(id: string): Promise<T | undefined>;
  /** Documents whose key in `index` starts with `prefix`, in index order, then by `_id`. */
  list(index: string, prefix: readonly KeyPart[], options: ListOptions): Promise<Page<T>>;
  /**
   * Like `list`, but reads the rows themselves, in no order; for irreversible decisions.
   * An engine that maintains its own indexes reads every row of the collection, so a row missing in
   * an index is found too. The result reflects every write acknowledged before this call, even
   * after a failover. A page may be empty and still have a `next`.
   */
  scan(index: string, prefix: readonly KeyPart[], options: Omit<ListOptions, 'reverse'>): Promise<Page<T>>;
  /**
   * Counts the index entries under `prefix`, only for display and limits: rows are not read. Stops
   * at `limit`.
   * Without a limit the duration depends on the number of entries; the deadline of an operation
   * applies to each part.
   */
  count(index: string, prefix: readonly KeyPart[], limit?: number): Promise<number>;
  /**
   * The position after `doc` in a list of `index` by any prefix of `length` fields, so that several
   * lists in one order can continue from the same point. `doc` must have all fields of the index.
   */
  position(index: string, length: number, doc: T): Position;
  /**
   * Compare-and-set on `doc.rev`: returns the stored document with its new revision, or undefined
   * if the stored one has changed or is gone.
   * @throws DuplicateKey
   */
  replace(doc: T): Promise<T | undefined>;
  /**
   * Compare-and-set of each document; returns the number that succeeded. Not atomic as a whole. At
   * most 1,000.
   */
  replaceMany(docs: readonly T[]): Promise<number>;
  /**
   * Removes the document (only at revision `rev`, if given). Returns false if nothing was removed.
   */
  remove(id: string, rev?: number): Promise<boolean>;
}

/**
 * All collections of an installation, with row MACs if their definition requires them. A DI token.
 */
export abstract class Store {
  abstract collection<T extends Doc>(definition: CollectionDefinition<T>): Collection<T>;
  /** Of the collections handed out so far. */
  abstract get definitions(): readonly CollectionDefinition<Doc>[];
  /**
   * Creates the missing indexes of all collections used so far, in bounded steps while other
   * processes write.
   * Drops no index, because another release that serves at the same time may need it. Idempotent,
   * safe to run concurrently, and resumes after a kill.
   */
  abstract prepare(): Promise<void>;
  /**
   * Drops indexes that this release does not use, if the installation document says that no other
   * release serves. Returns the number of dropped indexes.
   */
  abstract dropFormerIndexes(): Promise<number>;
  /** Rejects within 1 second if the engine does not respond. */
  abstract ping(): Promise<void>;
  abstract close(): Promise<void>;
}
