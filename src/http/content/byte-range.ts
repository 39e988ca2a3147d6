/** Bytes `start` to `end`, both included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The choice of a Range header: the whole content, one part, or an unsatisfiable part (416). */
export type RangeChoice =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable' };

const WHOLE: RangeChoice = { kind: 'whole' };
const UNSATISFIABLE: RangeChoice = { kind: 'unsatisfiable' };
const RANGES = /^bytes=(.*)$/i;
const ONE_RANGE = /^(\d*)-(\d*)$/;

/**
 * Parses a Range header (RFC 9110, 14.2) for a content of `size` bytes. Supports one range.
 * Ignores a header that is malformed, in another unit or with several ranges, as the RFC allows;
 * the response is then the whole content.
 */
export function chooseRange(header: string | undefined, size: number): RangeChoice {
  const parts = RANGES.exec(header ?? '')?.[1]
    ?.split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const only = parts?.length === 1 ? ONE_RANGE.exec(parts[0] ?? '') : null;
  if (only === null) return WHOLE;
  const [, first = '', last = ''] = only;
  if (first === '') return last === '' ? WHOLE : suffix(Number(last), size);
  // BigInt, because numbers beyond the safe range compare imprecisely.
  if (last !== '' && BigInt(last) < BigInt(first)) return WHOLE;
  return fromTo(Number(first), last === '' ? Infinity : Number(last), size);
}

/**
 * The last `length` bytes; the whole content if it is shorter, and no part of an empty content (RFC
 * 9110, 14.1.2).
 */
function suffix(length: number, size: number): RangeChoice {
  if (length === 0) return UNSATISFIABLE;
  if (size === 0) return WHOLE;
  return { kind: 'part', range: { start: Math.max(0, size - length), end: size - 1 } };
}

function fromTo(first: number, last: number, size: number): RangeChoice {
  if (first >= size) return UNSATISFIABLE;
  return { kind: 'part', range: { start: first, end: Math.min(last, size - 1) } };
}
