import { SecretBytes } from '../kernel';
import { encodeContext } from './context';
import { equalBytes, hmacSha256, sha256 } from './hash';
import { typedCode } from './typed-code';

const DIGITS = 6;
const RANGE = 10 ** DIGITS;
/**
 * Bytes of the HMAC that form the number: with 64 bits the bias of the remainder is below 2^-44.
 */
const USED_BYTES = 8;

/**
 * The six digits of an e-mailed code, derived from challenge, purpose and session
 * (docs/formats.md).
 * A resend sends the same code, and the store holds none. A code is invalid for any other purpose
 * or session.
 */
export function oneTimeCode(
  key: SecretBytes,
  challengeId: string,
  purpose: string,
  sessionId: string | undefined,
): string {
  const digest = hmacSha256(key, encodeContext(['coffer:one-time-code:1', challengeId, purpose, sessionId]));
  const number = digest.readBigUInt64BE(digest.length - USED_BYTES) % BigInt(RANGE);
  return number.toString().padStart(DIGITS, '0');
}

/** Compares a typed code in constant time, also for input of another length. */
export const codeMatches = (expected: string, given: string): boolean =>
  equalBytes(sha256(expected), sha256(typedCode(given)));
