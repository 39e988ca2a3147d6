import { Collection, KeyPart, ListOptions, Page } from './collection';
import { Doc } from './definition';

const BATCH = 100;

/** All rows under a prefix, page by page, those that fail MAC verification left out and named. Rows may be changed or removed on the way. */
export function scanRows<T extends Doc>(
  rows: Collection<T>,
  index: string,
  prefix: readonly KeyPart[],
  onTampered: (id: string) => void = () => undefined,
  order: Pick<ListOptions, 'reverse'> = {},
): AsyncGenerator<T> {
  return everyPage((options) => rows.list(index, prefix, { ...options, ...order }), onTampered);
}

/**
 * As `everyRow`, from the rows themselves, in no order, and with each row at least once that stays where it is: for what may not be undone, which
 * must not rest on an index.
 */
export function scanPages<T extends Doc>(
  rows: Collection<T>,
  index: string,
  prefix: readonly KeyPart[],
  onTampered: (id: string) => void = () => undefined,
): AsyncGenerator<T> {
  return everyPage((options) => rows.scan(index, prefix, options), onTampered);
}

/** Others have their turn between two pages: the engines see to it. */
async function* everyPage<T>(
  read: (options: ListOptions) => Promise<Page<T>>,
  onTampered: (id: string) => void,
): AsyncGenerator<T> {
  let after: string | undefined;
  do {
    const page = await read({ limit: BATCH, onTampered, ...(after !== undefined && { after }) });
    yield* page.items;
    after = page.next;
  } while (after !== undefined);
}

/** How rows go that `takeEvery` finds. Each says how many rows that were. */
export interface Taking<T extends Doc> {
  row(row: T): Promise<number>;
  /** One that fails MAC verification: nothing in it is to be believed. */
  forged(id: string): Promise<number>;
}

/** Takes all rows under a prefix away, whatever MAC verification says, until none is left. Returns how many went. */
export async function drain<T extends Doc>(
  rows: Collection<T>,
  index: string,
  prefix: readonly KeyPart[],
  taking: Taking<T>,
): Promise<number> {
  let taken = 0;
  for (;;) {
    const forged: string[] = [];
    const page = await rows.list(index, prefix, { limit: BATCH, onTampered: (id) => forged.push(id) });
    for (const row of page.items) taken += await taking.row(row);
    for (const id of forged) taken += await taking.forged(id);
    if (page.items.length + forged.length === 0 && page.next === undefined) return taken;
  }
}

/** Removes all rows under a prefix, whatever MAC verification says. Returns how many went. */
export function removeEvery<T extends Doc>(
  rows: Collection<T>,
  index: string,
  prefix: readonly KeyPart[],
): Promise<number> {
  const remove = async (id: string): Promise<number> => ((await rows.remove(id)) ? 1 : 0);
  return drain(rows, index, prefix, { row: ({ _id }) => remove(_id), forged: remove });
}
