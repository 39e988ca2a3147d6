/**
 * Key bytes that do not print: not by console.log, JSON.stringify, a template string or a
 * debugger's inspect. The owner calls `destroy` when nothing uses them any more; a use after that
 * is a programmer's mistake and throws.
 */
export class SecretBytes {
  #bytes: Buffer | undefined;

  /** Takes the buffer over: the caller must not keep it. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The bytes themselves, for a primitive in crypto/. Do not store what this returns. */
  get bytes(): Buffer {
    if (this.#bytes === undefined) throw new TypeError('key used after it was destroyed');
    return this.#bytes;
  }

  get length(): number {
    return this.bytes.length;
  }

  destroy(): void {
    this.#bytes?.fill(0);
    this.#bytes = undefined;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}
