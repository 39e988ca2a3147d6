import { isTooSlow } from './vault-api';

/** So many parts of one size that were answered in time, and twice as large ones are tried again. */
const STEADY = 20;

/**
 * How much Vault gets through in the time of one operation, learnt from what took too long: a backend that is slow an item is not away, and
 * work in parts that it can do goes on.
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

  /** The results of `work` for all items, in their order. @throws what `work` throws, where it takes too long for one item too */
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
