import { sha256 } from '../../crypto';
import { KeyPart } from '../collection';
import { wellFormed } from '../well-formed';

/**
 * Order-preserving encoding of compound keys. In lmdb's own encoding `['q']` and `'q'` are one key,
 * an empty string vanishes, and a string longer than LMDB's 1,978 bytes is rejected.
 *
 * A part is a tag and then: nothing (booleans); 8 bytes in the order of the numbers; UTF-8 with 00
 * as 00 FF, terminated by 00. A tag is less than FF, so the end of a string sorts before its
 * continuations, and no key is accidentally a prefix of another.
 */
const TAG = { false: 1, true: 2, number: 3, string: 4 } as const;
const END = 0x00;
const ESCAPE = 0xff;
const MAX_KEY_BYTES = 1_978;
/**
 * Strings with more UTF-8 than this are shortened: the head preserves most of the order, the hash
 * keeps them distinct.
 */
const LONG = 192;
const HEAD = 128;
const SIGN = 0x80;

const scratch = Buffer.alloc(16_384);

/** Encodes `parts` after `prefix`. */
export function encodeKey(prefix: Buffer, parts: readonly KeyPart[]): Buffer {
  let at = prefix.copy(scratch, 0);
  for (const part of parts) at = writePart(part, at);
  if (at > MAX_KEY_BYTES) throw new TypeError(`a key of ${at} bytes is too long for an index`);
  return Buffer.from(scratch.subarray(0, at));
}

/** An upper bound of all keys with `prefix`, because FF is not a tag. */
export const endOf = (prefix: Buffer): Buffer => Buffer.concat([prefix, Buffer.of(ESCAPE)]);

function writePart(part: KeyPart, at: number): number {
  if (typeof part === 'string') return writeString(part, at);
  if (typeof part === 'number') return writeNumber(part, at);
  scratch[at] = part ? TAG.true : TAG.false;
  return at + 1;
}

function writeString(text: string, at: number): number {
  scratch[at] = TAG.string;
  const start = at + 1;
  const bytes = shorten(text);
  let end = start + scratch.write(bytes, start, 'utf8');
  if (bytes.includes('\0')) end = escapeZeros(start, end);
  scratch[end] = END;
  return end + 1;
}

/** The shortened form is always longer than LONG, so that no short string can equal it. */
function shorten(text: string): string {
  if (text.length * 3 <= LONG || Buffer.byteLength(text) <= LONG) return text;
  return `${wellFormed(text.slice(0, HEAD))}~${sha256(text).toString('hex')}`;
}

function escapeZeros(start: number, end: number): number {
  const plain = Buffer.from(scratch.subarray(start, end));
  let to = start;
  for (const byte of plain) {
    scratch[to++] = byte;
    if (byte === END) scratch[to++] = ESCAPE;
  }
  return to;
}

/**
 * IEEE 754, big-endian. Flips the sign bit of positive and all bits of negative numbers, so that
 * bytes sort as numbers do.
 */
function writeNumber(value: number, at: number): number {
  scratch[at] = TAG.number;
  const first = at + 1;
  scratch.writeDoubleBE(value, first);
  const negative = (scratch[first] ?? 0) >= SIGN;
  const last = first + 8;
  for (let i = first; i < last; i += 1) {
    const flip = negative ? 0xff : i === first ? SIGN : 0;
    scratch[i] = (scratch[i] ?? 0) ^ flip;
  }
  return last;
}
