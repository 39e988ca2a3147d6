/** Characters that keyboards, phones and mail programs add to a code. */
const BLANKS_AND_MARKS = /[\s\p{Z}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;
// Minus signs, the hyphen bullet, and the long mark of Japanese keyboards are not in \p{Pd}.
const DASHES = /[\p{Pd}\u02d7\u2043\u2212\u2796\u30fc]/gu;
const DIGIT = /\p{Nd}/u;
const DIGITS = /\p{Nd}/gu;

/**
 * Normalises a typed code: removes blanks, dashes and invisible marks, and converts the digits of
 * any script to 0 to 9.
 */
export const typedCode = (text: string): string => unspaced(text).replace(DASHES, '');

/** Like `typedCode`, for a code in which the dash is significant. */
export const typedToken = (text: string): string => unspaced(text).replace(DASHES, '-');

const unspaced = (text: string): string =>
  text.normalize('NFKC').replace(BLANKS_AND_MARKS, '').replace(DIGITS, asciiDigit);

/**
 * Unicode orders the ten digits of a script contiguously, from zero on. Two such ranges may be
 * adjacent, so the position counts modulo ten.
 */
function asciiDigit(digit: string): string {
  const point = digit.codePointAt(0) ?? 0;
  let before = 0;
  while (DIGIT.test(String.fromCodePoint(point - before - 1))) before += 1;
  return String(before % 10);
}
