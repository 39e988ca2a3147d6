import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError } from '../kernel';
import { Collection, DuplicateKey } from './collection';
import { Doc, Draft } from './definition';

const ATTEMPTS = 40;
/**
 * Milliseconds. The average pause is half of it; it doubles up to LONGEST_PAUSE: about a second in
 * total on a highly contended document.
 */
const FIRST_PAUSE = 2;
const LONGEST_PAUSE = 64;

/**
 * Repeats `attempt` until its compare-and-set succeeds, with a pause after each conflict. `attempt`
 * must read its input anew and return undefined on a conflict.
 * @throws DomainError `conflict` if it never succeeds; errors of `attempt`
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
 * Reads, changes and stores a document, and starts over on a conflict. `change` may run several
 * times, so it must have no side effects; it returns undefined to change nothing.
 * @returns the stored document, or undefined if there is none
 * @throws DomainError `conflict` on repeated conflicts; errors of `change` and of the collection
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
 * Like `update` for a row that may be missing: `change` then gets undefined, and its result is
 * inserted with the id `id`. It returns undefined to write nothing.
 * @throws DomainError `conflict` on repeated conflicts; errors of `change` and of the collection
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

/** Another writer inserted the same id first. */
function undefinedIfThere(error: unknown): undefined {
  if (!(error instanceof DuplicateKey)) throw error;
  return undefined;
}

/** Random over the whole span, so that conflicting writers do not retry at the same time. */
const pause = (attempt: number): number => Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt);
