import { equalBytes, hkdf } from '../../src/crypto';
import { gcmDecrypt } from '../../src/crypto/aead';
import { SecretBytes } from '../../src/kernel';

/**
 * Opens any message of format 2.0 by its data key, for the published vectors: all suites with
 * commitment, any frame length, unframed bodies, and frames whose stored nonce is not their number
 * (some vectors have such). A signature in the footer is not checked. The service's reader refuses
 * all of that on purpose, so this one lives with the tests; it shares the primitives with the
 * reader.
 * @throws Error where the message does not verify.
 */
export function openLeniently(message: Buffer, dataKey: SecretBytes): Buffer {
  const cursor = new Cursor(message);
  if (cursor.uint(1) !== 2) throw new Error('not a message of version 2');
  const suite = cursor.take(2);
  const messageId = cursor.take(32);
  cursor.take(cursor.uint(2));
  for (let left = cursor.uint(2) * 3; left > 0; left--) cursor.take(cursor.uint(2));
  const framed = cursor.uint(1) === 2;
  const frameLength = cursor.uint(4);
  const commitment = cursor.take(32);
  const body = message.subarray(0, cursor.position);
  const key = derive(dataKey, messageId, Buffer.concat([suite, Buffer.from('DERIVEKEY')]));
  if (!equalBytes(derive(dataKey, messageId, Buffer.from('COMMITKEY')).bytes, commitment))
    throw new Error('commitment');
  opened(key, Buffer.alloc(12), cursor.take(16), body);
  return framed ? openFrames(cursor, key, messageId, frameLength) : openSingle(cursor, key, messageId);
}

const derive = (dataKey: SecretBytes, messageId: Buffer, info: Buffer): SecretBytes =>
  hkdf(dataKey, messageId, info, 32, 'sha512');

function opened(key: SecretBytes, nonce: Buffer, sealed: Buffer, aad: Buffer): Buffer {
  const plaintext = gcmDecrypt(key, nonce, sealed, aad);
  if (plaintext === undefined) throw new Error('tag');
  return plaintext;
}

function openFrames(cursor: Cursor, key: SecretBytes, messageId: Buffer, frameLength: number): Buffer {
  const frames: Buffer[] = [];
  for (let expected = 1; ; expected++) {
    let sequence = cursor.uint(4);
    const final = sequence === 0xffffffff;
    if (final) sequence = cursor.uint(4);
    if (sequence !== expected) throw new Error('order');
    const nonce = cursor.take(12);
    const length = final ? cursor.uint(4) : frameLength;
    const label = final ? 'Final Frame' : 'Frame';
    frames.push(opened(key, nonce, cursor.take(length + 16), additionalData(messageId, label, sequence, length)));
    if (final) return Buffer.concat(frames);
  }
}

function openSingle(cursor: Cursor, key: SecretBytes, messageId: Buffer): Buffer {
  const nonce = cursor.take(12);
  const length = cursor.uint(8);
  return opened(key, nonce, cursor.take(length + 16), additionalData(messageId, 'Single Block', 1, length));
}

function additionalData(messageId: Buffer, label: string, sequence: number, length: number): Buffer {
  const end = Buffer.alloc(12);
  end.writeUInt32BE(sequence);
  end.writeBigUInt64BE(BigInt(length), 4);
  return Buffer.concat([messageId, Buffer.from(`AWSKMSEncryptionClient ${label}`), end]);
}

class Cursor {
  position = 0;

  constructor(private readonly bytes: Buffer) {}

  take(size: number): Buffer {
    if (this.position + size > this.bytes.length) throw new Error('end');
    this.position += size;
    return this.bytes.subarray(this.position - size, this.position);
  }

  uint(size: 1 | 2 | 4 | 8): number {
    return Number(`0x${this.take(size).toString('hex')}`);
  }
}
