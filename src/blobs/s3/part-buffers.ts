import { DomainError, SECOND } from '../../kernel';

const MIB = 1024 * 1024;
/** The least that S3 takes for a part but the last. */
export const LEAST_PART_BYTES = 5 * MIB;
/** The most that S3 takes for one object. */
export const MOST_PARTS = 10_000;

/** Parts that follow on each other and are of one size. */
export interface PartSizes {
  readonly parts: number;
  readonly bytes: number;
  /** How many of them a process holds at once, for all its puts together. */
  readonly buffers: number;
  /** How long a put waits for one of them; then it gets a smaller one, beyond the number. In ms. */
  readonly patience: number;
  /** The size of that one. */
  readonly spare: number;
}

/**
 * The size of a part by its number. A put does not know how much is to come, and S3 takes 10,000
 * parts for an object, so parts grow: 1.01 TiB fit in all, which is the largest file of the product
 * as a message. A part is in memory while it is sent: 30 MiB in all for blobs of up to 4.9 GiB, 64
 * MiB more while larger ones come, 256 MiB more while some beyond 36 GiB do, however many they are.
 *
 * A put that waits is silent towards its client, whom proxies in between may give up: so nobody
 * waits long, and who gets a smaller part spends one of the 10,000 numbers on it. 260 GiB fit
 * however often that happens.
 */
export const PART_PLAN: readonly PartSizes[] = [
  { parts: 1_000, bytes: LEAST_PART_BYTES, buffers: 6, patience: 5 * SECOND, spare: LEAST_PART_BYTES },
  { parts: 1_000, bytes: 32 * MIB, buffers: 2, patience: 5 * SECOND, spare: LEAST_PART_BYTES },
  { parts: 8_000, bytes: 128 * MIB, buffers: 2, patience: 10 * SECOND, spare: 32 * MIB },
];

/** Memory for one part, until it is given back. */
export interface PartBuffer {
  readonly bytes: Buffer;
  /**
   * `reusable` is false where a socket may still be sending from it: then it is left to the garbage
   * collector.
   */
  give(reusable: boolean): void;
}

/**
 * The memory of all parts of one size: so many buffers, handed on in the order of asking, so that
 * many transfers at once take no more than a few. A client that stalls in the middle of a part
 * holds its buffer, and must not stop everybody else: who has waited long enough gets a smaller
 * buffer beyond the number, and sends a smaller part.
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

/** The memory of all puts of a process, by the number of the part that is to be collected. */
export class PartMemory {
  readonly #sizes: readonly { readonly parts: number; readonly buffers: PartBuffers }[];

  constructor(plan: readonly PartSizes[] = PART_PLAN) {
    this.#sizes = plan.map((sizes) => ({ parts: sizes.parts, buffers: new PartBuffers(sizes) }));
  }

  /** For part `number`, from 1. @throws DomainError `too_large` where there is no such part. */
  async take(number: number): Promise<PartBuffer> {
    let last = 0;
    for (const { parts, buffers } of this.#sizes) {
      last += parts;
      if (number <= last) return buffers.take();
    }
    throw new DomainError('too_large', { detail: 'The blob store cannot take more parts.' });
  }
}
