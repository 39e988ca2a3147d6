import { FrameCipher, FrameJob, Sealed, Unsealed } from './frame-cipher';

/**
 * A result together with its slab. The slab is a new Buffer over the same memory; the Buffer that
 * was passed in is detached.
 */
export type Returned<T> = T & { readonly slab: Buffer };

/** Processes the frames of one message, batches in order. `close` wipes the key. */
export interface FrameEngine {
  seal(slab: Buffer, length: number, final: boolean): Promise<Returned<Sealed>>;
  unseal(slab: Buffer, first: number, frames: number, lastBytes: number | undefined): Promise<Returned<Unsealed>>;
  close(): void;
}

/**
 * Works on the calling thread: for files of one batch, the transfer to a worker costs more than the
 * work.
 */
export class InlineEngine implements FrameEngine {
  readonly #cipher: FrameCipher;

  constructor(job: FrameJob) {
    this.#cipher = new FrameCipher(job);
  }

  seal(slab: Buffer, length: number, final: boolean): Promise<Returned<Sealed>> {
    return Promise.resolve({ slab, ...this.#cipher.seal(slab, length, final) });
  }

  unseal(slab: Buffer, first: number, frames: number, lastBytes: number | undefined): Promise<Returned<Unsealed>> {
    return Promise.resolve({ slab, ...this.#cipher.unseal(slab, first, frames, lastBytes) });
  }

  close(): void {
    this.#cipher.wipe();
  }
}
