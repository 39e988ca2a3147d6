/** What a person's keyboard, phone or mail program adds to a code or takes for its dash. */
const BLANKS_AND_MARKS = /[\s\p{Z}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;
// Minus signs, the hyphen bullet, and the long mark of Japanese keyboards are no \p{Pd}.
const DASHES = /[\p{Pd}\u02d7\u2043\u2212\u2796\u30fc]/gu;
const DIGIT = /\p{Nd}/u;
const DIGITS = /\p{Nd}/gu;

/** A code that a person typed, in the form that it is compared in: without blanks, dashes and invisible marks, digits of any script as 0 to 9. */
export const typedCode = (text: string): string => unspaced(text).replace(DASHES, '');

/** The same for a code in which a dash is a character of its own. */
export const typedToken = (text: string): string => unspaced(text).replace(DASHES, '-');

const unspaced = (text: string): string =>
  text.normalize('NFKC').replace(BLANKS_AND_MARKS, '').replace(DIGITS, asciiDigit);

/** Unicode has the ten digits of a script in a row, from zero on. Two rows may touch, so the place counts by ten. */
function asciiDigit(digit: string): string {
  const point = digit.codePointAt(0) ?? 0;
  let before = 0;
  while (DIGIT.test(String.fromCodePoint(point - before - 1))) before += 1;
  return String(before % 10);
}
