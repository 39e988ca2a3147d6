import { NONCE_BYTES, TAG_BYTES } from '../aead';
import { decryptionFailed } from '../format-fault';
import { COMMITMENT_BYTES, FRAMED, MESSAGE_ID_BYTES, VERSION_AND_SUITE, WRAPPED_DATA_KEY_BYTES } from './format';

const MAX_CONTEXT_BYTES = 1024;
const MAX_NAME_BYTES = 256;
const MIN_FRAME_BYTES = 4 * 1024;
const MAX_FRAME_BYTES = 1024 * 1024;
/** Key info after the key name: tag length in bits, nonce length, nonce. */
const INFO_END_BYTES = 4 + 4 + NONCE_BYTES;

/** A parsed header. None of its values is verified yet. */
export interface ParsedHeader {
  readonly messageId: Buffer;
  readonly context: Buffer;
  readonly provider: string;
  readonly keyName: string;
  readonly dataKeyNonce: Buffer;
  readonly wrappedDataKey: Buffer;
  readonly frameBytes: number;
  readonly commitment: Buffer;
  /** All bytes before the tag. */
  readonly body: Buffer;
  readonly tag: Buffer;
}

/**
 * Parses a header of Coffer's strict profile: one suite, one data key, bounded names, frames of 4
 * KiB to 1 MiB (a power of two).
 * Rejects any other header before a key is used. The bytes must end with the header.
 * @throws DomainError `decryption_failed`
 */
export function parseHeader(header: Buffer): ParsedHeader {
  const cursor = new Cursor(header);
  if (!cursor.take(VERSION_AND_SUITE.length).equals(VERSION_AND_SUITE)) throw decryptionFailed('suite');
  const messageId = cursor.take(MESSAGE_ID_BYTES);
  const context = cursor.block(MAX_CONTEXT_BYTES, 'context-length');
  if (cursor.uint16() !== 1) throw decryptionFailed('data-key-count');
  const provider = cursor.block(MAX_NAME_BYTES, 'provider').toString('utf8');
  const { keyName, dataKeyNonce } = parseKeyInfo(cursor.block(MAX_NAME_BYTES + INFO_END_BYTES, 'key-name'));
  const wrappedDataKey = cursor.block(WRAPPED_DATA_KEY_BYTES, 'data-key-length');
  if (wrappedDataKey.length !== WRAPPED_DATA_KEY_BYTES) throw decryptionFailed('data-key-length');
  if (cursor.uint8() !== FRAMED) throw decryptionFailed('content-type');
  const frameBytes = parseFrameLength(cursor.uint32());
  const commitment = cursor.take(COMMITMENT_BYTES);
  const body = header.subarray(0, cursor.position);
  const tag = cursor.take(TAG_BYTES);
  if (cursor.position !== header.length) throw decryptionFailed('header-length');
  return { messageId, context, provider, keyName, dataKeyNonce, wrappedDataKey, frameBytes, commitment, body, tag };
}

function parseKeyInfo(info: Buffer): { keyName: string; dataKeyNonce: Buffer } {
  const nameBytes = info.length - INFO_END_BYTES;
  if (nameBytes < 0) throw decryptionFailed('key-name');
  const end = new Cursor(info.subarray(nameBytes));
  if (end.uint32() !== TAG_BYTES * 8 || end.uint32() !== NONCE_BYTES) throw decryptionFailed('data-key-lengths');
  return { keyName: info.toString('utf8', 0, nameBytes), dataKeyNonce: end.take(NONCE_BYTES) };
}

function parseFrameLength(length: number): number {
  const powerOfTwo = (length & (length - 1)) === 0;
  if (length < MIN_FRAME_BYTES || length > MAX_FRAME_BYTES || !powerOfTwo) throw decryptionFailed('frame-length');
  return length;
}

/** Reads forward and never past the end. */
class Cursor {
  position = 0;

  constructor(private readonly bytes: Buffer) {}

  take(size: number): Buffer {
    if (this.position + size > this.bytes.length) throw decryptionFailed('header-length');
    this.position += size;
    return this.bytes.subarray(this.position - size, this.position);
  }

  uint8 = (): number => this.take(1).readUInt8();
  uint16 = (): number => this.take(2).readUInt16BE();
  uint32 = (): number => this.take(4).readUInt32BE();

  /** Bytes prefixed with their length (u16), at most `limit`. */
  block(limit: number, wall: string): Buffer {
    const size = this.uint16();
    if (size > limit) throw decryptionFailed(wall);
    return this.take(size);
  }
}
