import { CipherGCMOptions, createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { release } from '../../kernel';
import { NONCE_BYTES, TAG_BYTES } from '../aead';
import { FINAL_FRAME_OVERHEAD, FRAME_OVERHEAD } from './layout';

const BATCH_BYTES = 512 * 1024;
/**
 * Frames in one batch: 512 KiB of plaintext, so that the transfer to a worker is cheap in
 * comparison; at least one frame.
 */
export const batchFrames = (frameBytes: number): number => Math.max(1, Math.floor(BATCH_BYTES / frameBytes));
/** Offset of the ciphertext in a frame: sequence number, nonce. */
export const FRAME_HEAD_BYTES = 4 + NONCE_BYTES;
const FINAL_HEAD_BYTES = FINAL_FRAME_OVERHEAD - TAG_BYTES;
const FINAL_MARKER = 0xffffffff;
/** Sequence number, and length in eight bytes. */
const AAD_END_BYTES = 4 + 8;
const CIPHER = 'aes-256-gcm';
const PINNED: CipherGCMOptions = { authTagLength: TAG_BYTES };
const FRAME_LABEL = Buffer.from('AWSKMSEncryptionClient Frame');
const FINAL_LABEL = Buffer.from('AWSKMSEncryptionClient Final Frame');

/** Buffer size for `frames` frames, the last of which may be the final one. */
export const frameBufferBytes = (frames: number, frameBytes: number): number =>
  frames * (frameBytes + FRAME_OVERHEAD) + FINAL_FRAME_OVERHEAD - FRAME_OVERHEAD;

/** The state that a worker needs for one message's frames. */
export interface FrameJob {
  readonly key: Buffer;
  readonly messageId: Buffer;
  readonly frameBytes: number;
}

export interface Sealed {
  /** Bytes of finished frames in the slab. */
  readonly bytes: number;
  /** SHA-256 of the whole plaintext in lowercase hex, set with the final batch. */
  readonly sha256: string | undefined;
}

export interface Unsealed {
  /** Verified plaintext bytes at the start of the slab. */
  readonly bytes: number;
  /** The check that failed on the next frame; undefined if all frames verified. */
  readonly wall: string | undefined;
}

/**
 * AES-256-GCM of one message's frames, in place and batch by batch.
 * Pure computation: runs on the main thread for small files and in a worker for large ones.
 * Sequence numbers only increase, so no nonce repeats.
 */
export class FrameCipher {
  readonly #job: FrameJob;
  readonly #hash = createHash('sha256');
  readonly #nonce = Buffer.alloc(NONCE_BYTES);
  readonly #aad: Buffer;
  readonly #finalAad: Buffer;
  #sealed = 0;

  constructor(job: FrameJob) {
    this.#job = job;
    this.#aad = Buffer.concat([job.messageId, FRAME_LABEL, Buffer.alloc(AAD_END_BYTES)]);
    this.#finalAad = Buffer.concat([job.messageId, FINAL_LABEL, Buffer.alloc(AAD_END_BYTES)]);
  }

  /**
   * Seals `length` bytes of plaintext. Each frame's plaintext lies at its ciphertext offset in the
   * slab (`FRAME_HEAD_BYTES` after the frame's start). The last batch of a message is `final`.
   */
  seal(slab: Buffer, length: number, final: boolean): Sealed {
    const { frameBytes } = this.#job;
    const frames = Math.max(1, Math.ceil(length / frameBytes));
    let position = 0;
    for (let index = 0; index < frames; index++) {
      const plaintextBytes = Math.min(frameBytes, length - index * frameBytes);
      position += this.#sealFrame(slab.subarray(position), plaintextBytes, final && index === frames - 1);
    }
    return { bytes: position, sha256: final ? this.#hash.digest('hex') : undefined };
  }

  /**
   * Opens the frames `first`, `first` + 1, ... of a slab. `lastBytes`, the plaintext size of the
   * final frame, is set if that frame is included.
   */
  unseal(slab: Buffer, first: number, frames: number, lastBytes: number | undefined): Unsealed {
    const { frameBytes } = this.#job;
    let written = 0;
    for (let index = 0; index < frames; index++) {
      const final = lastBytes !== undefined && index === frames - 1;
      const frame = slab.subarray(index * (frameBytes + FRAME_OVERHEAD));
      const opened = this.#openFrame(frame, first + index, final, final ? lastBytes : frameBytes);
      if (typeof opened === 'string') return { bytes: written, wall: opened };
      // The plaintext is shorter than its frame, so the copy never overwrites the next frame.
      written += opened.copy(slab, written);
      release(opened);
    }
    return { bytes: written, wall: undefined };
  }

  wipe(): void {
    this.#job.key.fill(0);
  }

  #sealFrame(frame: Buffer, plaintextBytes: number, final: boolean): number {
    const sequence = ++this.#sealed;
    const headBytes = final ? FINAL_HEAD_BYTES : FRAME_HEAD_BYTES;
    const plaintext = frame.subarray(FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + plaintextBytes);
    this.#hash.update(plaintext);
    const nonce = this.#nonceOf(sequence);
    const cipher = createCipheriv(CIPHER, this.#job.key, nonce, PINNED);
    cipher.setAAD(this.#additionalData(sequence, plaintextBytes, final));
    const sealed = cipher.update(plaintext);
    cipher.final();
    writeHead(frame, sequence, nonce, final ? plaintextBytes : undefined);
    sealed.copy(frame, headBytes);
    release(sealed);
    cipher.getAuthTag().copy(frame, headBytes + plaintextBytes);
    return headBytes + plaintextBytes + TAG_BYTES;
  }

  /** The frame's plaintext, or the name of the failed check. */
  #openFrame(frame: Buffer, sequence: number, final: boolean, plaintextBytes: number): Buffer | string {
    const nonce = this.#nonceOf(sequence);
    const wall = headFault(frame, sequence, nonce, final ? plaintextBytes : undefined);
    if (wall !== undefined) return wall;
    const start = final ? FINAL_HEAD_BYTES : FRAME_HEAD_BYTES;
    const end = start + plaintextBytes;
    const decipher = createDecipheriv(CIPHER, this.#job.key, nonce, PINNED);
    decipher.setAAD(this.#additionalData(sequence, plaintextBytes, final));
    decipher.setAuthTag(frame.subarray(end, end + TAG_BYTES));
    const opened = decipher.update(frame.subarray(start, end));
    try {
      decipher.final();
      return opened;
    } catch {
      opened.fill(0);
      return 'frame-tag';
    }
  }

  /**
   * Sequence number and length after a label. The buffer, like that of the nonce, is reused for the
   * next frame.
   */
  #additionalData(sequence: number, plaintextBytes: number, final: boolean): Buffer {
    const aad = final ? this.#finalAad : this.#aad;
    const end = aad.length - AAD_END_BYTES;
    aad.writeUInt32BE(sequence, end);
    // A frame is far smaller than 4 GiB: the upper half of its length stays zero.
    aad.writeUInt32BE(plaintextBytes, end + 8);
    return aad;
  }

  #nonceOf(sequence: number): Buffer {
    this.#nonce.writeUInt32BE(sequence, NONCE_BYTES - 4);
    return this.#nonce;
  }
}

/** A final frame holds its length, and a marker before its sequence number. */
function writeHead(frame: Buffer, sequence: number, nonce: Buffer, finalBytes: number | undefined): void {
  let position = 0;
  if (finalBytes !== undefined) position = frame.writeUInt32BE(FINAL_MARKER);
  position = frame.writeUInt32BE(sequence, position);
  position += nonce.copy(frame, position);
  if (finalBytes !== undefined) frame.writeUInt32BE(finalBytes, position);
}

function headFault(frame: Buffer, sequence: number, nonce: Buffer, finalBytes: number | undefined): string | undefined {
  const marked = frame.readUInt32BE() === FINAL_MARKER;
  if (marked !== (finalBytes !== undefined)) return 'final-frame';
  const position = marked ? 4 : 0;
  if (frame.readUInt32BE(position) !== sequence) return 'frame-order';
  // The nonce is computed and never taken from the message, because a stored nonce could repeat.
  if (!frame.subarray(position + 4, position + 4 + NONCE_BYTES).equals(nonce)) return 'frame-nonce';
  if (finalBytes !== undefined && frame.readUInt32BE(position + 4 + NONCE_BYTES) !== finalBytes) return 'frame-length';
  return undefined;
}
