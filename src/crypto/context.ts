export type ContextPart = string | number | undefined;

const ABSENT = 0;
const TEXT = 1;
const NUMBER = 2;
const LENGTH_BYTES = 4;
const NUMBER_BYTES = 8;
const HEAD_BYTES = 1 + LENGTH_BYTES;
const HALF = 2 ** 32;

/**
 * Canonical encoding of additional data (docs/formats.md): the number of parts, then each part with
 * its type and length.
 * The encoding is injective: bytes cannot move between fields, and `undefined` differs from the
 * empty string. Numbers must be non-negative integers.
 */
export function encodeContext(parts: readonly ContextPart[]): Buffer {
  const sizes = parts.map(checkedSize);
  // Every byte is written below. A single buffer, because one buffer for each field would cost more
  // than wrapping a key.
  const encoded = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + HEAD_BYTES + size, LENGTH_BYTES));
  let at = encoded.writeUInt32BE(parts.length);
  for (const [index, part] of parts.entries()) {
    at = encoded.writeUInt8(part === undefined ? ABSENT : typeof part === 'string' ? TEXT : NUMBER, at);
    at = encoded.writeUInt32BE(sizes[index] ?? 0, at);
    if (typeof part === 'string') at += encoded.write(part, at, 'utf8');
    else if (part !== undefined) at = writeNumber(encoded, part, at);
  }
  return encoded;
}

/** Size of the part's value in bytes. */
function checkedSize(part: ContextPart): number {
  if (part === undefined) return 0;
  if (typeof part === 'string') {
    // UTF-8 turns all lone surrogates into U+FFFD, so that two texts would share one encoding.
    if (!isWellFormed(part)) throw new TypeError('a text in a context is well-formed Unicode');
    return Buffer.byteLength(part, 'utf8');
  }
  if (!Number.isSafeInteger(part) || part < 0) throw new TypeError('a number in a context is whole and not negative');
  return NUMBER_BYTES;
}

/** Two 32-bit halves avoid the allocation of a BigInt. */
function writeNumber(bytes: Buffer, value: number, at: number): number {
  bytes.writeUInt32BE(Math.floor(value / HALF), at);
  return bytes.writeUInt32BE(value % HALF, at + 4);
}

/** Node 20 has this method; TypeScript declares it only from ES2024 on. */
const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed();
