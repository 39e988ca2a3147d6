import { LEAST_PART_BYTES, PartSizes } from './part-plan';

/** Memory for one part, until it is given back. */
export interface PartBuffer {
  readonly bytes: Buffer;
  /** `reusable` is false where a socket may still be sending from it: then it is left to the garbage collector. */
  give(reusable: boolean): void;
}

/**
 * The memory of all parts of one size: so many buffers, handed on in the order of asking, so that many transfers at once take no more than
 * a few. A client that stalls in the middle of a part holds its buffer, and must not stop everybody else: who has waited long enough gets
 * a smaller buffer beyond the number, and sends a smaller part.
 */
export class PartBuffers {
  readonly #free: Buffer[] = [];
  readonly #waiting: ((buffer: PartBuffer) => void)[] = [];
  #lent = 0;

  constructor(private readonly sizes: PartSizes) {}

  async take(): Promise<PartBuffer> {
    if (this.#lent < this.sizes.buffers) return this.#lend();
    return new Promise((resolve) => {
      const serve = (buffer: PartBuffer): void => {
        clearTimeout(timer);
        resolve(buffer);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(serve), 1);
        resolve({ bytes: Buffer.allocUnsafeSlow(this.sizes.spare), give: () => undefined });
      }, this.sizes.patience);
      this.#waiting.push(serve);
    });
  }

  #lend(): PartBuffer {
    // In this order: memory that cannot be had is not lent.
    const bytes = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.sizes.bytes);
    this.#lent += 1;
    return { bytes, give: (reusable) => this.#giveBack(bytes, reusable) };
  }

  #giveBack(bytes: Buffer, reusable: boolean): void {
    this.#lent -= 1;
    if (reusable) this.#free.push(bytes);
    const next = this.#waiting.shift();
    if (next !== undefined) next(this.#lend());
    // Large ones are not kept for a put that may never come.
    if (this.#lent === 0 && this.sizes.bytes > LEAST_PART_BYTES) this.#free.length = 0;
  }
}
