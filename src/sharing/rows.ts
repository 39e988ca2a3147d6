import { Collection, Doc, KeyPart } from '../store';

const BATCH = 100;

/** All rows under a prefix, page by page, those that do not hold their seal left out. Rows may be changed or removed on the way. */
export async function* everyRow<T extends Doc>(
  rows: Collection<T>,
  index: string,
  prefix: readonly KeyPart[],
): AsyncGenerator<T> {
  let after: string | undefined;
  do {
    const options = { limit: BATCH, onForged: () => undefined, ...(after !== undefined && { after }) };
    const page = await rows.list(index, prefix, options);
    yield* page.items;
    after = page.next;
  } while (after !== undefined);
}

/** Removes all rows under a prefix, whether they hold their seal or not. Returns how many went. */
export async function removeEvery<T extends Doc>(
  rows: Collection<T>,
  index: string,
  prefix: readonly KeyPart[],
): Promise<number> {
  let removed = 0;
  for (;;) {
    const forged: string[] = [];
    const page = await rows.list(index, prefix, { limit: BATCH, onForged: (id) => forged.push(id) });
    const ids = [...page.items.map(({ _id }) => _id), ...forged];
    for (const id of ids) removed += (await rows.remove(id)) ? 1 : 0;
    if (ids.length === 0 && page.next === undefined) return removed;
  }
}
