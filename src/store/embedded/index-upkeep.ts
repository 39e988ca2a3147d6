import { MINUTE, StartRefused } from '../../kernel';
import { FlatRow } from '../row-shape';
import { EmbeddedCollection } from './embedded-collection';
import { Environment, Rows } from './environment';
import { endOf } from './key-encoding';
import { IndexLayout } from './layout';
import { Doc } from '../definition';

/** A large collection takes a while, once a release. */
const BUILD_DEADLINE = 10 * MINUTE;

type Signatures = Readonly<Record<string, string>>;

/**
 * Builds what a new release's definition asks for and the rows of an older one lack, and drops what it no longer names. One write
 * transaction a collection: another process sees all of it or nothing. Costs one read where nothing has changed.
 */
export async function bringIndexesUpToDate<T extends Doc>(
  environment: Environment,
  { layout, definition }: EmbeddedCollection<T>,
): Promise<void> {
  const wanted = Object.fromEntries(layout.indexes.map((index) => [index.name, index.signature]));
  if (sameSignatures(built(environment.fresh(), layout.meta), wanted)) return;
  await environment.write(() => {
    const { rows } = environment;
    const present = built(rows, layout.meta);
    for (const name of Object.keys(present)) if (present[name] !== wanted[name]) clear(rows, layout.base(name));
    const missing = layout.indexes.filter((index) => present[index.name] !== index.signature);
    for (const index of missing) fill(index);
    void rows.put(layout.meta, wanted);
  }, BUILD_DEADLINE);

  function fill(index: IndexLayout): void {
    const { rows } = environment;
    for (const value of valuesUnder(rows, layout.rows)) {
      const row = value as FlatRow;
      const entry = layout.entry(index, row);
      if (entry === undefined) continue;
      const holder = rows.get(entry);
      if (index.unique && holder !== undefined && holder !== row._id) {
        throw new StartRefused(`Two rows of ${definition.name} share a key of its new unique index ${index.name}.`);
      }
      void rows.put(entry, row._id);
    }
  }
}

const built = (rows: Rows, meta: Buffer): Signatures => (rows.get(meta) ?? {}) as Signatures;

function sameSignatures(a: Signatures, b: Signatures): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

function clear(rows: Rows, prefix: Buffer): void {
  const keys = [...rows.getKeys({ start: prefix, end: endOf(prefix) })];
  for (const key of keys) void rows.remove(key);
}

/** Read to the end before the first put: a cursor does not outlive a change of what it walks over. */
function valuesUnder(rows: Rows, prefix: Buffer): unknown[] {
  return [...rows.getRange({ start: prefix, end: endOf(prefix) })].map(({ value }) => value);
}
