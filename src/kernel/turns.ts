import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long one piece of work may hold the event loop. */
const LONGEST_MS = 5;

/**
 * Lets others have the event loop in the midst of long work. Promises that are resolved already do
 * not: reads of the embedded store and ciphers run one after the other in microtasks, for as long
 * as there are any.
 */
export class Turns {
  #since = performance.now();

  /**
   * Called between two small pieces of work; waits a turn of the event loop where this one has
   * lasted long enough.
   */
  async pause(): Promise<void> {
    if (performance.now() - this.#since < LONGEST_MS) return;
    await nextTurn();
    this.#since = performance.now();
  }
}

/** `work` on one item after the other, in turns. */
export async function mapInTurns<T, R>(items: readonly T[], work: (item: T) => R | Promise<R>): Promise<R[]> {
  const turns = new Turns();
  const results: R[] = [];
  for (const item of items) {
    results.push(await work(item));
    await turns.pause();
  }
  return results;
}

/** So many are worked on at once. */
const AT_ONCE = 16;

/**
 * What `work` gives for the items, some of them at once and in turns; without those for which it
 * gives undefined.
 */
export async function pickInTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R | undefined>): Promise<R[]> {
  const turns = new Turns();
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    const some = await Promise.all(items.slice(at, at + AT_ONCE).map(work));
    results.push(...some.filter((result) => result !== undefined));
    await turns.pause();
  }
  return results;
}
