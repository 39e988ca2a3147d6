import { SecretBytes } from '../kernel';
import { CROCKFORD } from './base32';
import { encodeContext } from './context';
import { hmacSha256 } from './hash';
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
export function newRecoveryCode(): string {
  return (CROCKFORD.encode(randomSecret(CODE_BYTES)).match(GROUP) ?? []).join('-');
}

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
