import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What becomes of a write. `refuse`: it is not done, and its caller hears a failure. `done`: it is
 * done, and its caller hears a failure. `later`: its caller hears a failure first, and it is done
 * afterwards.
 */
export type WriteFault = 'refuse' | 'done' | 'later';

export interface Write {
  /** The collection, or `vault`. */
  readonly target: string;
  readonly method: string;
  /** The id of the document, or the path in Vault. */
  readonly id: string;
  /** What is to be written. */
  readonly content?: unknown;
}

/**
 * Decides about each write. May take its time: the writer then sleeps between what it read and what
 * it writes.
 */
export type WriteChoice = (write: Write) => WriteFault | undefined | Promise<WriteFault | undefined>;

/** The writes of one decorator: those that are done later are kept until `settled`. */
export class WriteFaults {
  choose: WriteChoice = () => undefined;
  /** How long a write that is done later waits, in ms. */
  laterMs = 50;
  readonly #late = new Set<Promise<unknown>>();

  /** Runs `act` as `choose` says. `failure` makes the error that the caller hears. */
  async run<T>(write: Write, act: () => Promise<T>, failure: () => Error): Promise<T> {
    const fault = await this.choose(write);
    if (fault === undefined) return act();
    // What the write itself would have said is part of what nobody hears.
    if (fault === 'done') await act().catch(() => undefined);
    if (fault === 'later') this.#postpone(act);
    throw failure();
  }

  /** Resolves once every write that was to be done later is done, or has failed. */
  async settled(): Promise<void> {
    while (this.#late.size > 0) await Promise.allSettled([...this.#late]);
  }

  #postpone(act: () => Promise<unknown>): void {
    const late = sleep(this.laterMs)
      .then(act)
      .catch(() => undefined)
      .finally(() => this.#late.delete(late));
    this.#late.add(late);
  }
}

/**
 * Holds the writes that match until it is released: a process that sleeps between its look and its
 * write.
 */
export function sleepBefore(matches: (write: Write) => boolean): {
  readonly choice: WriteChoice;
  readonly reached: Promise<void>;
  release(): void;
} {
  let reach = (): void => undefined;
  let release = (): void => undefined;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  let isFirst = true;
  const choice = async (write: Write): Promise<undefined> => {
    if (!isFirst || !matches(write)) return undefined;
    isFirst = false;
    reach();
    await released;
    return undefined;
  };
  return { choice, reached, release: () => release() };
}
