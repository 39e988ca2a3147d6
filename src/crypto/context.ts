export type ContextPart = string | number | undefined;

const ABSENT = 0;
const TEXT = 1;
const NUMBER = 2;
const LENGTH_BYTES = 4;
const NUMBER_BYTES = 8;
const HEAD_BYTES = 1 + LENGTH_BYTES;
const HALF = 2 ** 32;

/**
 * The canonical encoding of additional data (docs/formats.md): number of parts, then each part with its type and length. No two lists
 * have the same encoding, so bytes cannot move from one field to its neighbour and `undefined` is not the empty string.
 * Numbers are whole and not negative.
 */
export function encodeContext(parts: readonly ContextPart[]): Buffer {
  const sizes = parts.map(checkedSize);
  // Every byte is written below. One buffer and not one a field: a key that is wrapped costs less than its context otherwise.
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

/** Bytes of the part's value. */
function checkedSize(part: ContextPart): number {
  if (part === undefined) return 0;
  if (typeof part === 'string') {
    // Lone surrogates all become U+FFFD in UTF-8: two texts would share an encoding.
    if (!isWellFormed(part)) throw new TypeError('a text in a context is well-formed Unicode');
    return Buffer.byteLength(part, 'utf8');
  }
  if (!Number.isSafeInteger(part) || part < 0) throw new TypeError('a number in a context is whole and not negative');
  return NUMBER_BYTES;
}

/** In two halves: a BigInt is an object more. */
function writeNumber(bytes: Buffer, value: number, at: number): number {
  bytes.writeUInt32BE(Math.floor(value / HALF), at);
  return bytes.writeUInt32BE(value % HALF, at + 4);
}

/** (In Node 20 at run time; TypeScript declares it with ES2024 only.) */
const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed();
