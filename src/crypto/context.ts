export type ContextPart = string | number | undefined;

const ABSENT = 0;
const TEXT = 1;
const NUMBER = 2;
const LENGTH_BYTES = 4;
const NUMBER_BYTES = 8;

/**
 * The canonical encoding of additional data (docs/formats.md): number of parts, then each part with its type and length. No two lists
 * have the same encoding, so bytes cannot move from one field to its neighbour and `undefined` is not the empty string.
 * Numbers are whole and not negative.
 */
export function encodeContext(parts: readonly ContextPart[]): Buffer {
  const count = Buffer.alloc(LENGTH_BYTES);
  count.writeUInt32BE(parts.length);
  return Buffer.concat([count, ...parts.map(encodePart)]);
}

function encodePart(part: ContextPart): Buffer {
  const value = valueBytes(part);
  const head = Buffer.alloc(1 + LENGTH_BYTES);
  head.writeUInt8(part === undefined ? ABSENT : typeof part === 'string' ? TEXT : NUMBER);
  head.writeUInt32BE(value.length, 1);
  return Buffer.concat([head, value]);
}

function valueBytes(part: ContextPart): Buffer {
  if (part === undefined) return Buffer.alloc(0);
  if (typeof part === 'string') return textBytes(part);
  if (!Number.isSafeInteger(part) || part < 0) throw new TypeError('a number in a context is whole and not negative');
  const bytes = Buffer.alloc(NUMBER_BYTES);
  bytes.writeBigUInt64BE(BigInt(part));
  return bytes;
}

function textBytes(text: string): Buffer {
  // Lone surrogates all become U+FFFD in UTF-8: two texts would share an encoding.
  if (/\p{Surrogate}/u.test(text)) throw new TypeError('a text in a context is well-formed Unicode');
  return Buffer.from(text, 'utf8');
}
