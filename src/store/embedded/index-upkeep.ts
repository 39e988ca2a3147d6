import { setImmediate as turn } from 'node:timers/promises';
import { failpoint, StartupError } from '../../kernel';
import { Doc } from '../definition';
import { Environment, Rows } from './environment';
import { IndexTable, isFor, Slot } from './index-table';
import { endOf } from './key-encoding';
import { entryOf, Layout } from './layout';

/**
 * Rows or entries in one write transaction; writers of all processes run between two transactions.
 */
const STEP = 200;
/**
 * How often a build is registered again after another process abandoned it: each process abandons
 * once and exits.
 */
const REGISTRATIONS = 20;
/** Milliseconds after which a step ends early, because rows may be large. */
const STEP_MS = 25;

/** The indexes of one collection. */
export interface Indexed<T extends Doc> {
  readonly name: string;
  readonly layout: Layout<T>;
  readonly table: IndexTable<T>;
}

/**
 * Builds missing indexes of the definition and drops none.
 * The build runs in short transactions while all processes write. Each transaction stores its
 * position, so that any process can resume the build after a kill.
 */
export async function buildIndexes<T extends Doc>(environment: Environment, indexed: Indexed<T>): Promise<void> {
  const { layout, table } = indexed;
  const isBuilt = (rows: Rows): boolean =>
    layout.declared.every((index) => table.slots(rows).some((slot) => slot.state === 'ready' && isFor(slot, index)));
  if (isBuilt(environment.fresh())) return;
  // Removes the remains of a failed build and of an interrupted drop.
  await dropIndexes(
    environment,
    indexed,
    ({ state }) => state === 'dropping',
    () => true,
  );
  await environment.write(() => {
    table.register(environment.rows);
  });
  for (let lost = 0; !isBuilt(environment.fresh());) {
    const part = nextPart(environment.fresh(), indexed);
    const step = await environment.write(() => buildStep(environment.rows, indexed, part));
    if (step === 'lost') {
      if ((lost += 1) > REGISTRATIONS)
        throw new StartupError(`Other processes give up new indexes of ${indexed.name}: look at their logs.`);
    } else if (step !== undefined) {
      await environment.write(() => {
        giveUp(environment.rows, indexed, step);
      });
      throw new StartupError(`Two rows of ${indexed.name} share a key of its new unique index ${step.name}.`);
    }
    failpoint('index.step-stored');
    await turn();
  }
}

/** The next slot to build. */
const firstBuilding = <T extends Doc>(rows: Rows, { layout, table }: Indexed<T>): Slot | undefined =>
  table.slots(rows).find((each) => each.state === 'building' && layout.declared.some((index) => isFor(each, index)));

interface Part {
  readonly slot: Slot;
  readonly keys: readonly Buffer[];
  /** False if these are the last rows. */
  readonly hasMore: boolean;
}

/**
 * Reads the keys of the next rows outside the write transaction: with a cursor inside it, LMDB
 * fails while another process writes.
 * Rows added later need no step, because their writers maintain the index that is being built.
 */
function nextPart<T extends Doc>(rows: Rows, indexed: Indexed<T>): Part | undefined {
  const slot = firstBuilding(rows, indexed);
  if (slot === undefined) return undefined;
  const prefix = indexed.layout.rows;
  const start = slot.after === '' ? prefix : Buffer.from(slot.after, 'base64url');
  const range = rows.getKeys({ start, end: endOf(prefix), exclusiveStart: true, limit: STEP });
  const keys = [...range].map((key) => Buffer.from(key));
  return { slot, keys, hasMore: keys.length === STEP };
}

/**
 * One step of a build. Returns the slot in which two rows conflict; nothing has been put then.
 * Returns `lost` if no index is being built: another process finished the build, or abandoned it,
 * and then it is registered again.
 */
function buildStep<T extends Doc>(rows: Rows, indexed: Indexed<T>, part: Part | undefined): Slot | 'lost' | undefined {
  const slot = firstBuilding(rows, indexed);
  if (slot === undefined) {
    indexed.table.register(rows);
    return 'lost';
  }
  // Another process has continued the build, so these are no longer the next rows.
  if (slot.slot !== part?.slot.slot || slot.after !== part.slot.after) return undefined;
  const { entries, last } = entriesOf(rows, slot, part);
  const isTaken = ({ key, id }: Entry): boolean => {
    const holder = rows.get(key);
    return holder !== undefined && holder !== id;
  };
  const seen = new Set(entries.map(({ key }) => key.toString('latin1')));
  if (slot.unique && (seen.size < entries.length || entries.some(isTaken))) return slot;
  for (const { key, id } of entries) void rows.put(key, id);
  const next: Slot = last === undefined ? { ...slot, state: 'ready', after: '' } : { ...slot, after: last };
  const { table } = indexed;
  table.put(
    rows,
    table.slots(rows).map((each) => (each.slot === slot.slot ? next : each)),
  );
  return undefined;
}

interface Entry {
  readonly key: Buffer;
  readonly id: string;
}

/** The entries of the rows in their current state; `last` is undefined for the last rows. */
function entriesOf(rows: Rows, slot: Slot, { keys, hasMore }: Part): { entries: Entry[]; last: string | undefined } {
  const entries: Entry[] = [];
  const until = performance.now() + STEP_MS;
  for (const [at, key] of keys.entries()) {
    const row = rows.get(key) as Readonly<Record<string, unknown>> | undefined;
    const entry = row === undefined ? undefined : entryOf(slot, slot.prefix, row);
    if (row !== undefined && entry !== undefined) entries.push({ key: entry, id: String(row['_id']) });
    const isEnd = at === keys.length - 1;
    if (isEnd ? hasMore : performance.now() >= until) return { entries, last: key.toString('base64url') };
  }
  return { entries, last: undefined };
}

/**
 * An index that cannot be built must not block other writers. The next drop removes its entries.
 */
function giveUp<T extends Doc>(rows: Rows, { table }: Indexed<T>, clash: Slot): void {
  const slots = table.slots(rows);
  table.put(
    rows,
    slots.map((slot) => (slot.slot === clash.slot ? { ...slot, state: 'dropping', after: '' } : slot)),
  );
}

/**
 * Drops the `unwanted` indexes while `mayDrop` holds inside the transaction. Returns the number of
 * dropped indexes.
 */
export async function dropIndexes<T extends Doc>(
  environment: Environment,
  indexed: Indexed<T>,
  unwanted: (slot: Slot) => boolean,
  mayDrop: (rows: Rows) => boolean,
): Promise<number> {
  const next = (rows: Rows): Slot | undefined => indexed.table.slots(rows).find(unwanted);
  for (let dropped = 0; ;) {
    const fresh = environment.fresh();
    const seen = next(fresh);
    if (seen === undefined) return dropped;
    // Outside the write transaction, as in nextPart.
    const keys = [...fresh.getKeys({ start: seen.prefix, end: endOf(seen.prefix), limit: STEP })];
    const step = await environment.write(() => {
      const { rows } = environment;
      const slot = next(rows);
      if (slot === undefined || !mayDrop(rows)) return 'refused';
      return slot.slot === seen.slot ? dropStep(rows, indexed, seen, keys) : 'more';
    });
    if (step === 'refused') return dropped;
    if (step === 'gone') dropped += 1;
    await turn();
  }
}

function dropStep<T extends Doc>(
  rows: Rows,
  { table }: Indexed<T>,
  seen: Slot,
  keys: readonly Buffer[],
): 'gone' | 'more' {
  for (const key of keys) void rows.remove(key);
  const others = table.slots(rows).filter((each) => each.slot !== seen.slot);
  // No process adds entries to an index that is being dropped, so these were the last ones.
  if (keys.length < STEP && seen.state === 'dropping') {
    table.put(rows, others);
    return 'gone';
  }
  table.put(rows, [...others, { ...seen, state: 'dropping', after: '' }]);
  return 'more';
}
