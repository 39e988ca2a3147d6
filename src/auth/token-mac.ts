import { encodeContext, equalBytes, hmacSha256 } from '../crypto';
import { SystemSecrets } from '../kernel';

/**
 * The purpose is part of the MAC, so that a refresh token never passes for a token of another kind.
 */
export type MacPurpose =
  | 'refresh-token'
  | 'mfa-token'
  | 'login-decoy'
  | 'mail-address'
  | 'mail-client'
  | 'confirming-client'
  | 'registering-client'
  | 'password-reset';

const FORMAT = 'coffer:auth-mac:1';

/** HMAC-SHA256 over purpose and parts under the one-time-code key, base64url. */
export function tokenMac(secrets: SystemSecrets, purpose: MacPurpose, ...parts: readonly (string | number)[]): string {
  return hmacSha256(secrets.oneTimeCodes, encodeContext([FORMAT, purpose, ...parts])).toString('base64url');
}

/** Compares in constant time. */
export const sameMac = (expected: string, presented: string): boolean =>
  equalBytes(Buffer.from(expected, 'utf8'), Buffer.from(presented, 'utf8'));
