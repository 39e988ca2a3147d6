import { SecretBytes } from '../kernel';
import { CROCKFORD } from './base32';
import { encodeContext } from './context';
import { equalBytes, hmacSha256, sha256 } from './hash';
import { randomSecret } from './random';
import { typedCode } from './typed-code';

/**
 * 120 bits: enough for a keyed hash instead of a password hash (ASVS 6.5.2), so that guesses cost
 * the service little.
 */
const CODE_BYTES = 15;
const GROUP = /.{1,4}/g;
const CODE = /^[0-9A-HJKMNP-TV-Z]{24}$/;

/**
 * Creates a recovery code in its display form: `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX` in Crockford's
 * base32. It is shown once.
 */
export const newRecoveryCode = (): string => shown(randomSecret(CODE_BYTES));

/**
 * A code of the same form and strength, derived from its parts: a resend sends the same code, and
 * the store holds none.
 */
export const derivedCode = (key: SecretBytes, parts: readonly (string | number | undefined)[]): string =>
  shown(hmacSha256(key, encodeContext(['coffer:derived-code:1', ...parts])).subarray(0, CODE_BYTES));

/** Is it that code, as a person typed it? In constant time. */
export function derivedCodeMatches(expected: string, typed: string): boolean {
  const code = parseRecoveryCode(typed);
  return code !== undefined && equalBytes(sha256(code), sha256(expected.replaceAll('-', '')));
}

const shown = (bytes: Uint8Array): string => (CROCKFORD.encode(bytes).match(GROUP) ?? []).join('-');

/**
 * Normalises a typed recovery code: `typedCode`, upper case, Crockford's look-alikes (O, I, L) as
 * digits.
 * Returns undefined if the text cannot be a code.
 */
export function parseRecoveryCode(typed: string): string | undefined {
  if (typed.length > 64) return undefined;
  const code = typedCode(typed).toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1');
  return CODE.test(code) ? code : undefined;
}

/**
 * The stored hash of a user's recovery code, lowercase hex; undefined if the text cannot be a code.
 */
export function recoveryCodeHash(key: SecretBytes, userId: string, typed: string): string | undefined {
  const code = parseRecoveryCode(typed);
  if (code === undefined) return undefined;
  return hmacSha256(key, encodeContext(['coffer:recovery-code:1', userId, code])).toString('hex');
}
