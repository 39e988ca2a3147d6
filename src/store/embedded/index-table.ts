import { DomainError } from '../../kernel';
import { Doc } from '../definition';
import { Rows } from './environment';
import { endOf } from './key-encoding';
import { DeclaredIndex, Layout } from './layout';

/**
 * `building`: every write maintains the index, and a build adds the existing rows; `after` is the
 * key of the last row added. `dropping`: no process maintains or reads the index, and its entries
 * are being removed.
 */
export type SlotState = 'ready' | 'building' | 'dropping';

export interface Slot {
  readonly slot: string;
  /**
   * Name of the index in a definition, without the suffix that separates two signatures of one
   * name.
   */
  readonly name: string;
  readonly signature: string;
  readonly fields: readonly string[];
  readonly unique: boolean;
  readonly prefix: Buffer;
  readonly state: SlotState;
  readonly after: string;
}

type Stored = string | { readonly signature: string; readonly state: SlotState; readonly after?: string };

const SIGNATURE = /^(unique|many):(.+)$/;

/**
 * The indexes of a collection in the store: those of this release and of another one that serves at
 * the same time.
 * Each operation reads the table in its own transaction or snapshot, so a process sees a new index
 * at once. A write maintains all of them, whether its definition names them or not.
 */
export class IndexTable<T extends Doc> {
  #bytes: Buffer | undefined;
  #slots: readonly Slot[] = [];

  constructor(
    private readonly layout: Layout<T>,
    private readonly collection: string,
  ) {}

  slots(rows: Rows): readonly Slot[] {
    const bytes = rows.getBinary(this.layout.table);
    if (bytes === undefined) return [];
    if (this.#bytes?.equals(bytes) === true) return this.#slots;
    const slots = Object.entries(JSON.parse(bytes.toString()) as Record<string, Stored>).map(([slot, stored]) =>
      this.#slot(slot, stored),
    );
    this.#bytes = Buffer.from(bytes);
    return (this.#slots = slots);
  }

  /**
   * The indexes that each write maintains. The first write to an empty collection registers the
   * indexes of its definition.
   */
  kept(rows: Rows): readonly Slot[] {
    const slots = this.slots(rows).filter(({ state }) => state !== 'dropping');
    if (this.layout.declared.every((index) => slots.some((slot) => isFor(slot, index)))) return slots;
    if (!this.#isEmpty(rows)) throw this.#otherRelease();
    this.register(rows);
    return this.slots(rows).filter(({ state }) => state !== 'dropping');
  }

  /** Prefix of the entries of a complete index. */
  readable(rows: Rows, name: string): Buffer {
    const index = this.layout.declared.find((declared) => declared.name === name);
    const slot = index && this.slots(rows).find((each) => each.state === 'ready' && isFor(each, index));
    if (slot !== undefined) return slot.prefix;
    if (index !== undefined && this.#isEmpty(rows)) return this.layout.slot(name);
    throw this.#otherRelease();
  }

  /** Adds missing indexes of the definition: to be built, or ready if the collection is empty. */
  register(rows: Rows): void {
    const slots = [...this.slots(rows)];
    const state = this.#isEmpty(rows) ? 'ready' : 'building';
    for (const index of this.layout.declared) {
      if (slots.some((slot) => slot.state !== 'dropping' && isFor(slot, index))) continue;
      const taken = slots.map(({ slot }) => slot);
      slots.push(this.#slot(freeSlot(index, taken), { signature: index.signature, state }));
    }
    this.put(rows, slots);
  }

  put(rows: Rows, slots: readonly Slot[]): void {
    const stored = slots.map(({ slot, signature, state, after }): [string, Stored] => [
      slot,
      state === 'ready' ? signature : { signature, state, ...(after === '' ? {} : { after }) },
    ]);
    void rows.put(this.layout.table, Object.fromEntries(stored));
  }

  #slot(slot: string, stored: Stored): Slot {
    const { signature, state, after = '' } = typeof stored === 'string' ? ready(stored) : stored;
    const [, uniqueness, fields] = SIGNATURE.exec(signature) ?? [];
    // Written by a release with another kind of index: rows written by this release would lack its
    // entries.
    if (fields === undefined) throw this.#otherRelease();
    const name = slot.split('~', 1)[0] ?? slot;
    const index = { fields: fields.split(','), unique: uniqueness === 'unique' };
    return { slot, name, signature, state, after, prefix: this.layout.slot(slot), ...index };
  }

  #isEmpty(rows: Rows): boolean {
    const start = this.layout.rows;
    return [...rows.getKeys({ start, end: endOf(start), limit: 1 })].length === 0;
  }

  #otherRelease(): DomainError {
    return new DomainError('store_unavailable', {
      detail: `The indexes of ${this.collection} are not those of this release (docs/upgrading.md).`,
    });
  }
}

interface ReadySlot {
  readonly signature: string;
  readonly state: SlotState;
  readonly after?: string;
}
const ready = (signature: string): ReadySlot => ({ signature, state: 'ready' });

export const isFor = (slot: Slot, index: DeclaredIndex): boolean =>
  slot.name === index.name && slot.signature === index.signature;

/** The plain name if it is free, because earlier releases use it. */
function freeSlot({ name, signature }: DeclaredIndex, taken: readonly string[]): string {
  if (!taken.includes(name)) return name;
  let slot = `${name}~${signature}`;
  while (taken.includes(slot)) slot += '~';
  return slot;
}
