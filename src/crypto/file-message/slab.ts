import { ChunkBatch } from '../../kernel';
import { FRAME_HEAD_BYTES, frameBufferBytes } from './frame-cipher';
import { FRAME_BYTES, FRAME_OVERHEAD } from './layout';

/** Memory for a batch of frames, owned by itself alone, so that it can be transferred to a worker. */
export const newFrameBuffer = (frames: number, frameBytes: number): Buffer =>
  Buffer.allocUnsafeSlow(frameBufferBytes(frames, frameBytes));

/** Plaintext that stands in a slab as `FrameCipher.seal` wants it. */
export class PlaintextBatch {
  length = 0;
  readonly slab: Buffer;

  constructor(readonly frames: number) {
    this.slab = newFrameBuffer(frames, FRAME_BYTES);
  }

  get full(): boolean {
    return this.length === this.frames * FRAME_BYTES;
  }

  /** Takes bytes up to the end of the current frame and returns how many. Not to be called on a full batch. */
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
 * A stream's bytes in batches of whole frames, as many as `frames` says at the time. A full batch is held back until more comes, so that
 * the last one is known to be final and the final frame is empty for an empty stream only. A small file costs one frame's memory.
 */
export async function* plaintextBatches(
  source: AsyncIterable<ChunkBatch>,
  frames: () => number,
): AsyncGenerator<FilledBatch, void> {
  let batch = new PlaintextBatch(1);
  for await (const burst of source) {
    // The types let a Readable pass, which gives `any`: its chunks would go by as bursts without bytes.
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
