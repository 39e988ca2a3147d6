import { createDecipheriv } from 'node:crypto';

const IV_BYTES = 12;
const TAG_BYTES = 16;
const FRAME_BYTES = 64 * 1024;

/**
 * What a test finds in the bytes of a file message (docs/formats.md), whole or broken off: its data
 * key, and each nonce used under it.
 */
export interface MessageNonces {
  readonly dataKey: string;
  readonly messageId: string;
  readonly context: string;
  readonly nonces: readonly string[];
}

/** Undefined for bytes that end within the header. */
export function noncesOf(message: Buffer, fileKey: Buffer): MessageNonces | undefined {
  try {
    return read(message, fileKey);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function read(message: Buffer, fileKey: Buffer): MessageNonces {
  const reader = new Reader(message);
  if (reader.bytes(3).toString('hex') !== '020478') throw new Error('not a message of this format');
  const messageId = reader.bytes(32).toString('hex');
  const context = reader.field();
  if (reader.number(2) !== 1) throw new Error('not one data key');
  reader.field();
  const info = reader.field();
  const wrapped = reader.field();
  reader.bytes(1 + 4 + 32 + TAG_BYTES);
  return {
    dataKey: unwrap(fileKey, info.subarray(-IV_BYTES), wrapped, context).toString('hex'),
    messageId,
    context: context.toString('latin1'),
    nonces: [...frames(reader)],
  };
}

/** The nonce of each frame that has begun: a frame that broke off has used it as well. */
function* frames(reader: Reader): Generator<string> {
  while (reader.left >= 4 + IV_BYTES) {
    const final = reader.peek() === 0xffffffff;
    if (final) reader.bytes(4);
    if (reader.left < 4 + IV_BYTES) return;
    reader.bytes(4);
    yield reader.bytes(IV_BYTES).toString('hex');
    if (final || reader.left < FRAME_BYTES + TAG_BYTES) return;
    reader.bytes(FRAME_BYTES + TAG_BYTES);
  }
}

function unwrap(fileKey: Buffer, iv: Buffer, wrapped: Buffer, context: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', fileKey, iv);
  decipher.setAAD(context);
  decipher.setAuthTag(wrapped.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(wrapped.subarray(0, -TAG_BYTES)), decipher.final()]);
}

class Reader {
  #at = 0;

  constructor(private readonly all: Buffer) {}

  get left(): number {
    return this.all.length - this.#at;
  }

  peek(): number {
    return this.all.readUInt32BE(this.#at);
  }

  bytes(count: number): Buffer {
    if (count > this.left) throw new RangeError('the message ends here');
    return this.all.subarray(this.#at, (this.#at += count));
  }

  number(bytes: number): number {
    return this.bytes(bytes).readUIntBE(0, bytes);
  }

  field(): Buffer {
    return this.bytes(this.number(2));
  }
}
