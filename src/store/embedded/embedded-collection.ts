import { setImmediate as nextTurn } from 'node:timers/promises';
import { Collection, DuplicateKey, KeyPart, ListOptions, Page, Position } from '../collection';
import { CollectionDefinition, Doc, Draft } from '../definition';
import { firstRevision } from '../first-revision';
import { checkBatch, checkLimit } from '../limits';
import { FlatRow, PRIMARY, ResolvedIndex, RowShape } from '../row-shape';
import { expanded } from '../unknown-fields';
import { Environment, Rows } from './environment';
import { IndexTable, Slot } from './index-table';
import { encodeKey, endOf } from './key-encoding';
import { entryOf, keyBehindPrefix, Layout } from './layout';

/**
 * Time limit in milliseconds for one page of a scan, because a page is one turn of the event loop.
 */
const SCAN_MS = 10;

/**
 * One collection in LMDB. All checks of a write run inside its transaction and before its first
 * put.
 */
export class EmbeddedCollection<T extends Doc> implements Collection<T> {
  readonly layout: Layout<T>;
  readonly table: IndexTable<T>;
  readonly #shape: RowShape<T>;

  constructor(
    readonly definition: CollectionDefinition<T>,
    private readonly environment: Environment,
  ) {
    this.#shape = new RowShape(definition);
    this.layout = new Layout(this.#shape);
    this.table = new IndexTable(this.layout, definition.name);
  }

  get name(): string {
    return this.definition.name;
  }

  async insert(draft: Draft<T>, rev = firstRevision(this.definition)): Promise<T> {
    const row = this.#shape.flatten(draft, rev);
    const taken = await this.environment.write(() => {
      if (this.#row(this.environment.rows, row._id) !== undefined) return PRIMARY;
      return this.#store(row, undefined);
    });
    return this.#stored(row, taken);
  }

  async find(index: string, ...key: KeyPart[]): Promise<T | undefined> {
    const place = this.#shape.index(index);
    const parts = this.#shape.key(place, key, true);
    return this.#read((rows) => {
      const row = place.unique ? this.#exact(rows, place, parts) : this.#first(rows, place, parts);
      return row && this.#shape.restoreStored(row);
    });
  }

  /** A read uses the newest snapshot, whichever process wrote it. */
  findLinearizable(id: string): Promise<T | undefined> {
    return this.find(PRIMARY, id);
  }

  async list(index: string, prefix: readonly KeyPart[], options: ListOptions): Promise<Page<T>> {
    checkLimit(options.limit);
    const place = this.#shape.index(index);
    const parts = this.#shape.key(place, prefix, false);
    // Reads are synchronous: without this pause, a walk over all pages would block the event loop.
    if (options.after !== undefined) await nextTurn();
    return this.#read((rows) => {
      const start = this.#prefix(rows, place, parts);
      const entries = [...rows.getRange({ ...range(start, options), limit: options.limit + 1 })];
      const shown = entries.slice(0, options.limit);
      const last = entries.length > options.limit ? shown.at(-1) : undefined;
      return {
        items: shown.flatMap(({ value }) => this.#resolve(rows, place, value) ?? []),
        next: last?.key.subarray(start.length).toString('base64url'),
      };
    });
  }

  async scan(index: string, prefix: readonly KeyPart[], options: Omit<ListOptions, 'reverse'>): Promise<Page<T>> {
    checkLimit(options.limit);
    const place = this.#shape.index(index);
    const parts = this.#shape.key(place, prefix, false);
    const start = this.layout.rows;
    await this.environment.ownTurn();
    // Iterates row by row instead of loading a page, because most rows may be large and belong to
    // others.
    return this.#read((rows) => {
      const items: T[] = [];
      const until = performance.now() + SCAN_MS;
      for (const { key, value } of rows.getRange(range(start, options))) {
        if (isUnder(value as FlatRow, place, parts)) items.push(this.#shape.restoreStored(value as FlatRow));
        const isEnd = items.length === options.limit || performance.now() >= until;
        if (isEnd) return { items, next: key.subarray(start.length).toString('base64url') };
      }
      return { items, next: undefined };
    });
  }

  async count(index: string, prefix: readonly KeyPart[], limit?: number): Promise<number> {
    if (limit !== undefined) checkLimit(limit);
    const place = this.#shape.index(index);
    const parts = this.#shape.key(place, prefix, false);
    return this.#read((rows) => {
      const start = this.#prefix(rows, place, parts);
      const bounds = { start, end: endOf(start) };
      // LMDB ignores a limit when it counts and counts the whole range.
      return limit === undefined ? rows.getKeysCount(bounds) : [...rows.getKeys({ ...bounds, limit })].length;
    });
  }

  position(index: string, length: number, doc: T): Position {
    return keyBehindPrefix(this.#shape.behind(this.#shape.index(index), length, doc)).toString('base64url');
  }

  async replace(doc: T): Promise<T | undefined> {
    const row = this.#shape.flatten(doc, doc.rev + 1);
    const result = await this.environment.write(() => this.#swap(row));
    return result === false ? undefined : this.#stored(row, result);
  }

  async replaceMany(docs: readonly T[]): Promise<number> {
    checkBatch(docs);
    const rows = docs.map((doc) => this.#shape.flatten(doc, doc.rev + 1));
    return this.environment.write(() => rows.filter((row) => this.#swap(row) === undefined).length);
  }

  async remove(id: string, rev?: number): Promise<boolean> {
    const [part] = this.#shape.key(this.#shape.index(PRIMARY), [id], true);
    return this.environment.write(() => {
      const row = this.#row(this.environment.rows, String(part));
      if (row === undefined || (rev !== undefined && row.rev !== rev)) return false;
      this.removeInside(row);
      return true;
    });
  }

  /** Removes a row and its index entries, inside a write transaction. */
  removeInside(row: FlatRow): void {
    const { rows } = this.environment;
    for (const slot of this.table.kept(rows)) this.#removeEntry(slot, entryOf(slot, slot.prefix, row), row._id);
    void rows.remove(this.layout.row(row._id));
  }

  /**
   * Returns undefined on success, false on a revision conflict, else the name of the index that
   * rejected the row.
   */
  #swap(row: FlatRow): string | false | undefined {
    const before = this.#row(this.environment.rows, row._id);
    if (before?.rev !== row.rev - 1) return false;
    return this.#store(row, before);
  }

  /**
   * Puts the row and updates its index entries. If a unique index rejects it, returns the name of
   * the index and has put nothing.
   */
  #store(row: FlatRow, before: FlatRow | undefined): string | undefined {
    const { rows } = this.environment;
    const after = expanded(row);
    const moves = this.table.kept(rows).map((slot) => ({
      slot,
      from: before && entryOf(slot, slot.prefix, before),
      to: entryOf(slot, slot.prefix, after),
    }));
    const moved = moves.filter(({ from, to }) => (from && to ? !from.equals(to) : from !== to));
    const refusing = moved.find(({ slot, to }) => slot.unique && to && (rows.get(to) ?? row._id) !== row._id);
    if (refusing !== undefined) return refusing.slot.name;
    for (const { slot, from, to } of moved) {
      this.#removeEntry(slot, from, row._id);
      if (to !== undefined) void rows.put(to, row._id);
    }
    void rows.put(this.layout.row(row._id), after);
    return undefined;
  }

  /** In a unique index that is being built, the entry may belong to another row. */
  #removeEntry(slot: Slot, entry: Buffer | undefined, id: string): void {
    const { rows } = this.environment;
    if (entry !== undefined && (!slot.unique || rows.get(entry) === id)) void rows.remove(entry);
  }

  #stored(row: FlatRow, taken: string | undefined): T {
    if (taken !== undefined) throw new DuplicateKey(this.definition.name, taken);
    return this.#shape.restore(row);
  }

  /** `act` sees one snapshot, because it runs in one turn of the event loop. */
  async #read<R>(act: (rows: Rows) => R): Promise<R> {
    try {
      return act(this.environment.fresh());
    } catch (error) {
      throw await this.environment.fault(error);
    }
  }

  /** Prefix of the entries of `index`, or of the rows themselves. */
  #prefix(rows: Rows, index: ResolvedIndex, parts: readonly KeyPart[]): Buffer {
    return encodeKey(index.name === PRIMARY ? this.layout.rows : this.table.readable(rows, index.name), parts);
  }

  #row(rows: Rows, id: string): FlatRow | undefined {
    return rows.get(this.layout.row(id)) as FlatRow | undefined;
  }

  #exact(rows: Rows, index: ResolvedIndex, parts: readonly KeyPart[]): FlatRow | undefined {
    const value = rows.get(this.#prefix(rows, index, parts));
    return index.name === PRIMARY ? (value as FlatRow | undefined) : this.#pointed(rows, value);
  }

  #first(rows: Rows, index: ResolvedIndex, parts: readonly KeyPart[]): FlatRow | undefined {
    const start = this.#prefix(rows, index, parts);
    const [entry] = rows.getRange({ start, end: endOf(start), limit: 1 });
    return this.#pointed(rows, entry?.value);
  }

  #resolve(rows: Rows, index: ResolvedIndex, value: unknown): T | undefined {
    const row = index.name === PRIMARY ? (value as FlatRow) : this.#pointed(rows, value);
    return row && this.#shape.restoreStored(row);
  }

  #pointed(rows: Rows, id: unknown): FlatRow | undefined {
    return typeof id === 'string' ? this.#row(rows, id) : undefined;
  }
}

const isUnder = (row: FlatRow, { fields }: ResolvedIndex, parts: readonly KeyPart[]): boolean =>
  parts.every((part, at) => row[fields[at] ?? PRIMARY] === part);

/**
 * The keys under `start`, from the position on. A position is the part of the last row's key after
 * the prefix.
 */
function range(start: Buffer, { after, reverse = false }: ListOptions): RangeBounds {
  const position = after === undefined ? undefined : Buffer.concat([start, Buffer.from(after, 'base64url')]);
  const [first, last] = reverse ? [endOf(start), start] : [start, endOf(start)];
  // A reverse range ends before `last`, and the complete key of a unique index is an entry itself.
  return {
    start: position ?? first,
    end: last,
    exclusiveStart: position !== undefined,
    inclusiveEnd: reverse,
    reverse,
  };
}

interface RangeBounds {
  readonly start: Buffer;
  readonly end: Buffer;
  readonly exclusiveStart: boolean;
  readonly inclusiveEnd: boolean;
  readonly reverse: boolean;
}
