import { setImmediate as turn } from 'node:timers/promises';
import { failpoint, StartRefused } from '../../kernel';
import { Doc } from '../definition';
import { Environment, Rows } from './environment';
import { IndexTable, isFor, Slot } from './index-table';
import { endOf } from './key-encoding';
import { entryOf, Layout } from './layout';

/** Rows or entries in one write transaction: other writers, in all processes, come in between two of them. */
const STEP = 200;
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
  while (!isBuilt(environment.fresh())) {
    const clash = await environment.write(() => buildStep(environment.rows, indexed));
    if (clash !== undefined) {
      await environment.write(() => {
        giveUp(environment.rows, indexed, clash);
      });
      throw new StartRefused(`Two rows of ${indexed.name} share a key of its new unique index ${clash.name}.`);
    }
    failpoint('index.step-stored');
    await turn();
  }
}

/** One step of the first build. Returns the slot in which two rows clash; then nothing has been put. */
function buildStep<T extends Doc>(rows: Rows, { layout, table }: Indexed<T>): Slot | undefined {
  const slots = table.slots(rows);
  const slot = slots.find((each) => each.state === 'building' && layout.declared.some((index) => isFor(each, index)));
  if (slot === undefined) return undefined;
  // Before the first put: a cursor does not outlive a change of what it walks over.
  const { entries, last } = nextEntries(rows, layout.rows, slot);
  const isTaken = ({ key, id }: Entry): boolean => {
    const holder = rows.get(key);
    return holder !== undefined && holder !== id;
  };
  const seen = new Set(entries.map(({ key }) => key.toString('latin1')));
  if (slot.unique && (seen.size < entries.length || entries.some(isTaken))) return slot;
  for (const { key, id } of entries) void rows.put(key, id);
  const next: Slot = last === undefined ? { ...slot, state: 'ready', after: '' } : { ...slot, after: last };
  table.put(
    rows,
    slots.map((each) => (each === slot ? next : each)),
  );
  return undefined;
}

interface Entry {
  readonly key: Buffer;
  readonly id: string;
}

/** The entries of the next rows behind the slot's position; `last` is undefined where these are the last ones. */
function nextEntries(rows: Rows, prefix: Buffer, slot: Slot): { entries: Entry[]; last: string | undefined } {
  const entries: Entry[] = [];
  const position = slot.after === '' ? prefix : Buffer.from(slot.after, 'base64url');
  const until = performance.now() + STEP_MS;
  let count = 0;
  for (const { key, value } of rows.getRange({ start: position, end: endOf(prefix), exclusiveStart: true })) {
    const row = value as Readonly<Record<string, unknown>>;
    const entry = entryOf(slot, slot.prefix, row);
    if (entry !== undefined) entries.push({ key: entry, id: String(row['_id']) });
    count += 1;
    if (count === STEP || performance.now() >= until) return { entries, last: Buffer.from(key).toString('base64url') };
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
    if (next(environment.fresh()) === undefined) return dropped;
    const step = await environment.write(() => {
      const { rows } = environment;
      const slot = next(rows);
      return slot !== undefined && mayDrop(rows) ? dropStep(rows, indexed, slot) : 'refused';
    });
    if (step === 'refused') return dropped;
    if (step === 'gone') dropped += 1;
    await turn();
  }
}

function dropStep<T extends Doc>(rows: Rows, { table }: Indexed<T>, slot: Slot): 'gone' | 'more' {
  const keys = [...rows.getKeys({ start: slot.prefix, end: endOf(slot.prefix), limit: STEP })];
  for (const key of keys) void rows.remove(key);
  const others = table.slots(rows).filter((each) => each.slot !== slot.slot);
  if (keys.length < STEP) {
    table.put(rows, others);
    return 'gone';
  }
  table.put(rows, [...others, { ...slot, state: 'dropping', after: '' }]);
  return 'more';
}
