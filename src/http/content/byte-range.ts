/** Bytes `start` to `end`, both included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What a Range header asks of a content: all of it, one part, or a part that is not there (416). */
export type RangeChoice =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable' };

const WHOLE: RangeChoice = { kind: 'whole' };
const UNSATISFIABLE: RangeChoice = { kind: 'unsatisfiable' };
const RANGES = /^bytes=(.*)$/i;
const ONE_RANGE = /^(\d*)-(\d*)$/;

/**
 * Reads a Range header by RFC 9110, 14.2, for a content of `size` bytes. One range is served. A header that is malformed, in another
 * unit, or that names several ranges is ignored, as the RFC allows: the whole content answers any of them.
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
  // Larger than a number can tell apart, they may still be in the wrong order.
  if (last !== '' && BigInt(last) < BigInt(first)) return WHOLE;
  return fromTo(Number(first), last === '' ? Infinity : Number(last), size);
}

/** The last `length` bytes: all of them where there are fewer, and no part of a content that has none (RFC 9110, 14.1.2). */
function suffix(length: number, size: number): RangeChoice {
  if (length === 0) return UNSATISFIABLE;
  if (size === 0) return WHOLE;
  return { kind: 'part', range: { start: Math.max(0, size - length), end: size - 1 } };
}

function fromTo(first: number, last: number, size: number): RangeChoice {
  if (first >= size) return UNSATISFIABLE;
  return { kind: 'part', range: { start: first, end: Math.min(last, size - 1) } };
}
