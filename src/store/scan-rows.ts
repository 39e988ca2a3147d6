import { Collection, KeyPart, ListOptions, Page } from './collection';
import { Doc } from './definition';

const BATCH = 100;

/**
 * Yields all rows under a prefix, page by page; skips and reports rows that fail MAC verification.
 * Rows may be changed or removed meanwhile.
 */
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
 * Like `scanRows`, but reads the rows themselves, in no order, and yields each unmoved row at least
 * once. For irreversible decisions, which must not depend on an index.
 */
export function scanPages<T extends Doc>(
  rows: Collection<T>,
  index: string,
  prefix: readonly KeyPart[],
  onTampered: (id: string) => void = () => undefined,
): AsyncGenerator<T> {
  return everyPage((options) => rows.scan(index, prefix, options), onTampered);
}

/** The engines yield to other requests between two pages. */
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

/** Callbacks of `drain`, which remove rows. Each returns the number of removed rows. */
export interface Taking<T extends Doc> {
  row(row: T): Promise<number>;
  /** Handles a row that fails MAC verification; its content is untrusted. */
  forged(id: string): Promise<number>;
}

/**
 * Removes all rows under a prefix, valid or tampered, until none is left. Returns the number of
 * removed rows.
 */
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

/** Removes all rows under a prefix, valid or tampered. Returns the number of removed rows. */
export function removeEvery<T extends Doc>(
  rows: Collection<T>,
  index: string,
  prefix: readonly KeyPart[],
): Promise<number> {
  const remove = async (id: string): Promise<number> => ((await rows.remove(id)) ? 1 : 0);
  return drain(rows, index, prefix, { row: ({ _id }) => remove(_id), forged: remove });
}
