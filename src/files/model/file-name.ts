import { Branded } from '../../kernel/index';

/** A name that a file may have: see `fileName`. */
export type FileName = Branded<string, 'FileName'>;

export const MAX_NAME_BYTES = 255;

/**
 * A file's name, kept as sent, or why it is none. It may hold anything that a file system of the caller's may hold, quotes and emoji
 * too, but nothing that turns into a path (`/`, `.`, `..`) or that is no text.
 */
export function fileName(value: string): { readonly name: FileName } | { readonly fault: string } {
  const fault = nameFault(value);
  return fault === undefined ? { name: value as FileName } : { fault };
}

function nameFault(value: string): string | undefined {
  if (value === '') return 'must not be empty';
  if (Buffer.byteLength(value, 'utf8') > MAX_NAME_BYTES) return `must have at most ${MAX_NAME_BYTES} bytes in UTF-8`;
  if (value === '.' || value === '..') return 'must not be . or ..';
  if (value.includes('/')) return 'must not hold a slash';
  if (value.includes('\0')) return 'must not hold NUL';
  // U+FFFD is what decoders put where bytes were no UTF-8: a name with it would not be the name that was sent.
  if (/\p{Surrogate}|\uFFFD/u.test(value)) return 'must be valid Unicode';
  return undefined;
}
