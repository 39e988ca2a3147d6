import { Doc } from '../definition';
import { FlatRow } from '../row-shape';
import { EmbeddedCollection } from './embedded-collection';
import { Environment, Rows } from './environment';
import { encodeKey } from './key-encoding';

/** Rows in one write transaction: a large sweep must not hold the write lock for long. */
const BATCH = 200;

/**
 * Removes rows that expired before `now`. Reads outside the write transaction (see index-upkeep.ts)
 * and checks again inside it, so that a renewed row stays.
 */
export async function sweepExpired<T extends Doc>(
  environment: Environment,
  collection: EmbeddedCollection<T>,
  now: number,
): Promise<number> {
  const { expiry } = collection.layout;
  if (expiry === undefined) return 0;
  // Created for each use: lmdb modifies the options of a count, and a later range would become a
  // count too.
  const due = (rows: Rows) => {
    const start = collection.table.readable(rows, expiry.name);
    return { start, end: encodeKey(start, [now]), limit: BATCH };
  };
  const next = () => {
    const rows = environment.fresh();
    return [...rows.getRange(due(rows))];
  };
  let removed = 0;
  for (let entries = next(); entries.length > 0; entries = next()) {
    removed += await environment.write(() => {
      const still = entries.filter(({ key, value }) => environment.rows.get(key) === value);
      return still.filter(({ key, value }) => removeExpired(environment, collection, key, value as string)).length;
    });
  }
  return removed;
}

function removeExpired<T extends Doc>(
  environment: Environment,
  collection: EmbeddedCollection<T>,
  entry: Buffer,
  id: string,
): boolean {
  const row = environment.rows.get(collection.layout.row(id)) as FlatRow | undefined;
  if (row !== undefined) collection.removeInside(row);
  // Removes the entry itself too: an orphaned entry, from a foreign write, would be found again for
  // ever.
  void environment.rows.remove(entry);
  return row !== undefined;
}
