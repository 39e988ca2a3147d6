import { SecretBytes } from '../kernel';
import { CROCKFORD } from './base32';
import { encodeContext } from './context';
import { hmacSha256 } from './hash';
import { randomSecret } from './random';
import { typedCode } from './typed-code';

/** 120 bits: enough for a plain keyed hash instead of a password hash (ASVS 6.5.2), so a guess costs us nothing. */
const CODE_BYTES = 15;
const GROUP = /.{1,4}/g;
const CODE = /^[0-9A-HJKMNP-TV-Z]{24}$/;

/** A new recovery code as it is shown, once: `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX` in Crockford's base32. */
export function newRecoveryCode(): string {
  return (CROCKFORD.encode(randomSecret(CODE_BYTES)).match(GROUP) ?? []).join('-');
}

/**
 * A typed recovery code in its one form: as `typedCode` reads it, upper case, Crockford's look-alikes (O, I, L) read as digits.
 * Undefined where it cannot be one.
 */
export function parseRecoveryCode(typed: string): string | undefined {
  if (typed.length > 64) return undefined;
  const code = typedCode(typed).toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1');
  return CODE.test(code) ? code : undefined;
}

/** What the store holds of a user's recovery code, lowercase hex; undefined where the text cannot be a code. */
export function recoveryCodeHash(key: SecretBytes, userId: string, typed: string): string | undefined {
  const code = parseRecoveryCode(typed);
  if (code === undefined) return undefined;
  return hmacSha256(key, encodeContext(['coffer:recovery-code:1', userId, code])).toString('hex');
}
