import { AsyncLocalStorage } from 'node:async_hooks';
import { stretched } from '../kernel';
import { isTooSlow } from './vault-api';

/**
 * How long one use of a key backend may take, whatever number of requests it makes: of the port's 2
 * seconds the rest is for what stands around it, a password hash above all.
 */
export const OPERATION_MS = 1_200;

const deadlines = new AsyncLocalStorage<number>();

/**
 * Runs `work` under one deadline: that of the operation around it, or one of its own. Nothing that
 * outlives it may be started within.
 */
export const asOneOperation = <T>(work: () => Promise<T>): Promise<T> =>
  deadlines.getStore() === undefined ? asNewOperation(work) : work();

/** Whether somebody waits for an answer by a deadline that work done now is a part of. */
export const isWithinOperation = (): boolean => deadlines.getStore() !== undefined;

/** ms of the monotonic clock. */
export const newDeadline = (): number => performance.now() + stretched(OPERATION_MS);

const asNewOperation = <T>(work: () => Promise<T>): Promise<T> => deadlines.run(newDeadline(), work);

/**
 * `attempt`, again from the start while it gives undefined, as `repeat` does it. The first one is
 * part of the operation around it; where another writer came before it Vault has just answered, so
 * each later one has a time of its own: many writers are no outage.
 */
export function inAttempts<T>(
  repeat: (attempt: () => Promise<T | undefined>) => Promise<T>,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  let isFirst = true;
  return repeat(() => {
    const run = isFirst ? asOneOperation<T | undefined> : asNewOperation<T | undefined>;
    isFirst = false;
    return run(attempt);
  });
}

/** ms of the monotonic clock: by when a request that is made now has to be answered. */
export const operationDeadline = (): number => deadlines.getStore() ?? newDeadline();

/**
 * So many parts of one size that were answered in time, and twice as large ones are tried again.
 */
const STEADY = 20;

/**
 * How much Vault gets through in the time of one operation, learnt from what took too long: a
 * backend that is slow an item is not away, and work in parts that it can do goes on.
 */
export class PartSize {
  #size: number;
  #steady = 0;

  constructor(private readonly largest: number) {
    this.#size = largest;
  }

  get isFull(): boolean {
    return this.#size === this.largest;
  }

  /**
   * The results of `work` for all items, in their order.
   * @throws what `work` throws, where it takes too long for one item too
   */
  async inParts<In, Out>(items: readonly In[], work: (part: readonly In[]) => Promise<Out[]>): Promise<Out[]> {
    const results: Out[] = [];
    for (let at = 0; at < items.length;) {
      const part = items.slice(at, at + this.#size);
      const done = await this.#done(part, work);
      if (done === undefined) continue;
      results.push(...done);
      at += part.length;
    }
    return results;
  }

  /** Undefined where it took too long and is to be tried in smaller parts. */
  async #done<In, Out>(part: readonly In[], work: (part: readonly In[]) => Promise<Out[]>): Promise<Out[] | undefined> {
    try {
      const done = await work(part);
      this.#grow(part.length);
      return done;
    } catch (error) {
      if (!isTooSlow(error) || part.length === 1) throw error;
      this.#size = Math.min(this.#size, Math.ceil(part.length / 2));
      this.#steady = 0;
      return undefined;
    }
  }

  #grow(length: number): void {
    if (this.isFull || length < this.#size) return;
    this.#steady += 1;
    if (this.#steady < STEADY) return;
    this.#steady = 0;
    this.#size = Math.min(this.largest, this.#size * 2);
  }
}
