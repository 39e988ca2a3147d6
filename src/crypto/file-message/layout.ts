import { TAG_BYTES } from '../aead';

/** Plaintext bytes in each frame that Coffer writes, except the last. */
export const FRAME_BYTES = 64 * 1024;
/** Overhead of a frame: sequence number, nonce, tag. */
export const FRAME_OVERHEAD = 4 + 12 + TAG_BYTES;
/** The final frame also has a marker and its length. */
export const FINAL_FRAME_OVERHEAD = FRAME_OVERHEAD + 8;
/** 1 TiB: 2^36 blocks under one key leave a distinguishing bound of 2^-57. */
export const MAX_PLAINTEXT_BYTES = 2 ** 40;

/** Bytes `start` to `end`, both included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Computes the offsets in a message: each frame except the last has the same size. */
export class MessageLayout {
  private constructor(
    readonly headerBytes: number,
    readonly frameBytes: number,
    /** Frames in the message, at least one; sequence numbers are 1 to `frames`. */
    readonly frames: number,
    /** Plaintext bytes in the final frame. */
    readonly lastBytes: number,
  ) {}

  static ofPlaintext(headerBytes: number, size: number, frameBytes = FRAME_BYTES): MessageLayout {
    const frames = Math.max(1, Math.ceil(size / frameBytes));
    return new MessageLayout(headerBytes, frameBytes, frames, size - (frames - 1) * frameBytes);
  }

  /** The layout of a message of `total` bytes; undefined if no message has that size. */
  static ofMessage(headerBytes: number, total: number, frameBytes = FRAME_BYTES): MessageLayout | undefined {
    const body = total - headerBytes - FINAL_FRAME_OVERHEAD;
    if (!Number.isSafeInteger(total) || body < 0) return undefined;
    const stride = frameBytes + FRAME_OVERHEAD;
    const lastBytes = body % stride;
    if (lastBytes > frameBytes) return undefined;
    return new MessageLayout(headerBytes, frameBytes, Math.floor(body / stride) + 1, lastBytes);
  }

  get stride(): number {
    return this.frameBytes + FRAME_OVERHEAD;
  }

  get plaintextSize(): number {
    return (this.frames - 1) * this.frameBytes + this.lastBytes;
  }

  get totalSize(): number {
    return this.headerBytes + (this.frames - 1) * this.stride + FINAL_FRAME_OVERHEAD + this.lastBytes;
  }

  /** Sequence number of the frame that holds plaintext byte `position`. */
  frameOf(position: number): number {
    return Math.min(Math.floor(position / this.frameBytes) + 1, this.frames);
  }

  /** First plaintext byte of frame `sequence`. */
  plaintextStart(sequence: number): number {
    return (sequence - 1) * this.frameBytes;
  }

  /** Plaintext bytes in frame `sequence`. */
  plaintextBytes(sequence: number): number {
    return sequence === this.frames ? this.lastBytes : this.frameBytes;
  }

  /** Byte range of the frames `first` to `last` in the message. */
  bytesOf(first: number, last: number): Span {
    const start = this.headerBytes + (first - 1) * this.stride;
    const end = last === this.frames ? this.totalSize : this.headerBytes + last * this.stride;
    return { start, end: end - 1 };
  }
}
