import { setImmediate as turn } from 'node:timers/promises';
import { failpoint, StartupError } from '../../kernel';
import { Doc } from '../definition';
import { Environment, Rows } from './environment';
import { IndexTable, isFor, Slot } from './index-table';
import { endOf } from './key-encoding';
import { entryOf, Layout } from './layout';

/** Rows or entries in one write transaction: other writers, in all processes, come in between two of them. */
const STEP = 200;
/** How often a build is registered again that another process gave up: each process gives up once and ends. */
const REGISTRATIONS = 20;
/** Milliseconds after which a step ends earlier: rows may be large. */
const STEP_MS = 25;

/** One collection's indexes, and the process's way to them. */
export interface Indexed<T extends Doc> {
  readonly name: string;
  readonly layout: Layout<T>;
  readonly table: IndexTable<T>;
}

/**
 * Builds the indexes that the definition names and the store lacks, and drops none. A build goes on in short transactions while all
 * processes write; its position is stored with each one, so after a kill it goes on from there, in whichever process.
 */
export async function buildIndexes<T extends Doc>(environment: Environment, indexed: Indexed<T>): Promise<void> {
  const { layout, table } = indexed;
  const isBuilt = (rows: Rows): boolean =>
    layout.declared.every((index) => table.slots(rows).some((slot) => slot.state === 'ready' && isFor(slot, index)));
  if (isBuilt(environment.fresh())) return;
  // What a build that failed left, and a drop that a kill ended.
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

/** The slot that is built next. */
const firstBuilding = <T extends Doc>(rows: Rows, { layout, table }: Indexed<T>): Slot | undefined =>
  table.slots(rows).find((each) => each.state === 'building' && layout.declared.some((index) => isFor(each, index)));

interface Part {
  readonly slot: Slot;
  readonly keys: readonly Buffer[];
  /** False where these are the last rows. */
  readonly hasMore: boolean;
}

/**
 * Where the next rows lie, read outside of the write transaction: a cursor inside of it makes LMDB fail while another process writes.
 * Rows that come later need no step, since their writers keep the index that is being built.
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
 * One step of the first build. Returns the slot in which two rows clash; then nothing has been put. `lost` where nothing is being
 * built: another process finished it, or gave it up, and then it is registered again.
 */
function buildStep<T extends Doc>(rows: Rows, indexed: Indexed<T>, part: Part | undefined): Slot | 'lost' | undefined {
  const slot = firstBuilding(rows, indexed);
  if (slot === undefined) {
    indexed.table.register(rows);
    return 'lost';
  }
  // Another process has built meanwhile: these are not the next rows any more.
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

/** The entries of the part's rows as they are now; `last` is undefined where these are the last ones. */
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

/** An index that cannot be built must not refuse the writes of others. Its entries go with the next drop. */
function giveUp<T extends Doc>(rows: Rows, { table }: Indexed<T>, clash: Slot): void {
  const slots = table.slots(rows);
  table.put(
    rows,
    slots.map((slot) => (slot.slot === clash.slot ? { ...slot, state: 'dropping', after: '' } : slot)),
  );
}

/** Drops the indexes that are `unwanted` as long as `mayDrop` holds inside the transaction. Returns how many are gone. */
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
    // Outside of the write transaction, as in nextPart.
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
  // Nobody adds an entry to an index that is being dropped, so these were the last ones.
  if (keys.length < STEP && seen.state === 'dropping') {
    table.put(rows, others);
    return 'gone';
  }
  table.put(rows, [...others, { ...seen, state: 'dropping', after: '' }]);
  return 'more';
}
