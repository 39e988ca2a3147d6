import { ChunkBatch } from '../../kernel';
import { FRAME_HEAD_BYTES, frameBufferBytes } from './frame-cipher';
import { FRAME_BYTES, FRAME_OVERHEAD } from './layout';

/**
 * Memory for a batch of frames, in its own ArrayBuffer, so that it can be transferred to a worker.
 */
export const newFrameBuffer = (frames: number, frameBytes: number): Buffer =>
  Buffer.allocUnsafeSlow(frameBufferBytes(frames, frameBytes));

/** Plaintext in the slab layout that `FrameCipher.seal` expects. */
export class PlaintextBatch {
  length = 0;
  readonly slab: Buffer;

  constructor(readonly frames: number) {
    this.slab = newFrameBuffer(frames, FRAME_BYTES);
  }

  get full(): boolean {
    return this.length === this.frames * FRAME_BYTES;
  }

  /**
   * Adds bytes up to the end of the current frame and returns their number. Must not be called on a
   * full batch.
   */
  add(bytes: Uint8Array): number {
    const inFrame = this.length % FRAME_BYTES;
    const index = (this.length - inFrame) / FRAME_BYTES;
    const taken = Math.min(bytes.length, FRAME_BYTES - inFrame);
    const position = index * (FRAME_BYTES + FRAME_OVERHEAD) + FRAME_HEAD_BYTES + inFrame;
    this.slab.set(bytes.subarray(0, taken), position);
    this.length += taken;
    return taken;
  }

  /** The same plaintext with room for more. */
  grown(frames: number): PlaintextBatch {
    const larger = new PlaintextBatch(frames);
    this.slab.copy(larger.slab);
    larger.length = this.length;
    return larger;
  }

  filled(final: boolean): FilledBatch {
    return { slab: this.slab, length: this.length, final };
  }
}

export interface FilledBatch {
  readonly slab: Buffer;
  readonly length: number;
  readonly final: boolean;
}

/**
 * Splits a stream into batches of whole frames; `frames` returns the current batch size.
 * A full batch is held back until more bytes come, so that the last batch is known to be final.
 * Only an empty stream has an empty final frame. A small file needs one frame's memory.
 */
export async function* plaintextBatches(
  source: AsyncIterable<ChunkBatch>,
  frames: () => number,
): AsyncGenerator<FilledBatch, void> {
  let batch = new PlaintextBatch(1);
  for await (const burst of source) {
    // The types accept a Readable, which yields `any`: its chunks would pass as batches without
    // bytes.
    if ((burst as unknown) instanceof Uint8Array) throw new TypeError('content comes in bursts');
    for (const chunk of burst) {
      let rest = chunk;
      while (rest.length > 0) {
        if (batch.full && batch.frames < frames()) {
          batch = batch.grown(frames());
        } else if (batch.full) {
          yield batch.filled(false);
          batch = new PlaintextBatch(frames());
        }
        rest = rest.subarray(batch.add(rest));
      }
    }
  }
  yield batch.filled(true);
}
