import { Doc } from '../definition';
import { FlatRow } from '../row-shape';
import { EmbeddedCollection } from './embedded-collection';
import { Environment, Rows } from './environment';
import { encodeKey } from './key-encoding';

/** Rows a write transaction: a sweep of many must not hold the writer's lock for long. */
const BATCH = 200;

/**
 * Removes the rows of a collection whose expiry lies before `now`. Read outside of the write transaction, as in index-upkeep.ts, and looked
 * at again inside of it, so a row that was renewed stays.
 */
export async function sweepExpired<T extends Doc>(
  environment: Environment,
  collection: EmbeddedCollection<T>,
  now: number,
): Promise<number> {
  const { expiry } = collection.layout;
  if (expiry === undefined) return 0;
  // Made anew for each use: lmdb writes into the options of a count, and a range after it would be a count as well.
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
  // Also by itself: an entry that its row does not know (someone wrote past us) would be found again for ever.
  void environment.rows.remove(entry);
  return row !== undefined;
}
