import { Readable } from 'node:stream';
import { decryptionFailed } from '../format-fault';

const EMPTY = Buffer.alloc(0);

/** Reads exactly the requested number of bytes from a stream. */
export class ExactReader {
  readonly #stream: Readable;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = EMPTY;

  constructor(stream: Readable) {
    this.#stream = stream;
    // Without this listener, an error between two reads would end the process; the next read
    // reports the error.
    stream.on('error', () => undefined);
    this.#chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  }

  /**
   * Fills the target.
   * @throws DomainError `decryption_failed` if the stream ends early, as with a truncated blob
   */
  async fill(target: Buffer): Promise<void> {
    let position = 0;
    while (position < target.length) {
      if (this.#rest.length === 0) await this.#next();
      const taken = this.#rest.subarray(0, target.length - position);
      target.set(taken, position);
      position += taken.length;
      this.#rest = this.#rest.subarray(taken.length);
    }
  }

  /**
   * Returns the next bytes in a buffer that owns its memory, so that it can be transferred. Reuses
   * the store's chunk if it has exactly this size, else copies.
   */
  async take(size: number): Promise<Buffer> {
    if (this.#rest.length === 0) await this.#next();
    const chunk = this.#rest;
    if (chunk.length === size && chunk.buffer instanceof ArrayBuffer && chunk.buffer.byteLength === size) {
      this.#rest = EMPTY;
      return Buffer.from(chunk.buffer);
    }
    const copy = Buffer.allocUnsafeSlow(size);
    await this.fill(copy);
    return copy;
  }

  async skip(size: number): Promise<void> {
    for (let left = size; left > 0;) {
      if (this.#rest.length === 0) await this.#next();
      const taken = Math.min(left, this.#rest.length);
      this.#rest = this.#rest.subarray(taken);
      left -= taken;
    }
  }

  async #next(): Promise<void> {
    const next = await this.#chunks.next();
    if (next.done === true) throw decryptionFailed('truncated');
    this.#rest = next.value;
  }

  destroy(): void {
    this.#stream.destroy();
  }
}
