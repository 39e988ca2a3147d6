import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '../kernel';
import { Collection, DuplicateKey } from './collection';
import { Doc, Draft } from './definition';

const ATTEMPTS = 40;
/** Milliseconds. Half of it on average, doubled at each attempt up to the longest: about a second in all on a very hot document. */
const FIRST_PAUSE = 2;
const LONGEST_PAUSE = 64;

/**
 * Runs `attempt` until its conditional write held, with a pause after each one that another writer came before. `attempt` reads what it
 * changes anew each time, and returns undefined where its write did not hold.
 * @throws DomainError `conflict` where it never held; what `attempt` throws.
 */
export async function retryOnConflict<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let count = 0; count < ATTEMPTS; count += 1) {
    const held = await attempt();
    if (held !== undefined) return held;
    await sleep(pause(count));
  }
  throw new DomainError('conflict', { detail: 'Concurrent modification. Retry.', retryAfterSeconds: 1 });
}

/**
 * Reads a document, changes it and stores it, again from the start while another writer comes in between. `change` may be called
 * several times, so it does nothing but compute; where it returns undefined the document is left alone.
 * @returns the document as it is stored then, or undefined where there is none.
 * @throws DomainError `conflict` where the document stayed contended; what `change` and the collection throw.
 */
export async function update<T extends Doc>(
  collection: Collection<T>,
  id: string,
  change: (doc: T) => T | undefined | Promise<T | undefined>,
): Promise<T | undefined> {
  const { doc } = await retryOnConflict<{ readonly doc: T | undefined }>(async () => {
    const doc = await collection.find('_id', id);
    const changed = doc && (await change(doc));
    if (doc === undefined || changed === undefined) return { doc };
    const stored = await collection.replace({ ...changed, _id: doc._id, rev: doc.rev });
    return stored && { doc: stored };
  });
  return doc;
}

/**
 * As `update` for a row that need not be there: `change` gets undefined then, and its answer is stored
 * as a new row, whose id is `id`. Where it returns undefined nothing is written.
 * @throws DomainError `conflict` where the row stayed contended; what `change` and the collection throw.
 */
export async function updateOrInsert<T extends Doc>(
  collection: Collection<T>,
  id: string,
  change: (row: T | undefined) => Omit<Draft<T>, '_id'> | undefined,
): Promise<void> {
  await retryOnConflict(async () => {
    const row = await collection.find('_id', id);
    const changed = change(row);
    if (changed === undefined) return true;
    const draft = { ...changed, _id: id } as unknown as T;
    if (row !== undefined) return collection.replace({ ...draft, rev: row.rev });
    return collection.insert(draft).catch(undefinedIfThere);
  });
}

/** Another writer was quicker with the same id. */
function undefinedIfThere(error: unknown): undefined {
  if (!(error instanceof DuplicateKey)) throw error;
  return undefined;
}

/** Random over the whole span, so that writers who lost together do not come back together. */
const pause = (attempt: number): number => Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt);
