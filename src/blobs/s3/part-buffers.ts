import { SECOND } from '../../kernel';

/** How long a put waits for one of the buffers before it gets one of its own. */
const PATIENCE = 5 * SECOND;

/**
 * The memory of all uploads of this process: so many buffers of one part each, handed on in the order of asking, so that many transfers
 * at once take no more than a few. A client that stalls in the middle of a part holds its buffer, and must not stop everybody else: who
 * has waited long enough gets one beyond the number, which is not kept afterwards.
 */
export class PartBuffers {
  readonly #free: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];
  #lent = 0;

  constructor(
    private readonly count: number,
    readonly bytes: number,
  ) {}

  async take(): Promise<Buffer> {
    if (this.#lent < this.count) return this.#lend();
    return new Promise((resolve) => {
      const serve = (buffer: Buffer): void => {
        clearTimeout(timer);
        resolve(buffer);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(serve), 1);
        resolve(this.#lend());
      }, PATIENCE);
      this.#waiting.push(serve);
    });
  }

  /** `reusable` is false where a socket may still be sending from the buffer: then it is left to the garbage collector. */
  give(buffer: Buffer, reusable: boolean): void {
    this.#lent -= 1;
    if (reusable && this.#lent < this.count) this.#free.push(buffer);
    if (this.#lent >= this.count) return;
    const next = this.#waiting.shift();
    if (next !== undefined) next(this.#lend());
  }

  #lend(): Buffer {
    this.#lent += 1;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.bytes);
  }
}
