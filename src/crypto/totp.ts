import { createHmac } from 'node:crypto';
import { CryptoPlugin, generateSync, generateURI } from 'otplib';
import { SecretBytes } from '../kernel';
import { RFC4648 } from './base32';
import { equalBytes } from './hash';
import { randomSecret } from './random';
import { typedCode } from './typed-code';

const STEP_SECONDS = 30;
const DIGITS = 6;
/** RFC 4226 recommends 160 bits. */
const SECRET_BYTES = 20;
const CODE = /^\d{6}$/;

// The library counts and truncates; the HMAC is Node's, as elsewhere in Coffer.
const nodeCrypto: CryptoPlugin = {
  name: 'node',
  hmac: (algorithm, key, data) => createHmac(algorithm, key).update(data).digest(),
  randomBytes: (size) => randomSecret(size),
  constantTimeEqual: (a, b) => equalBytes(Buffer.from(a as string), Buffer.from(b as string)),
};

/** Creates a TOTP secret (RFC 6238, SHA-1). The caller destroys it. */
export const newTotpSecret = (): SecretBytes => new SecretBytes(randomSecret(SECRET_BYTES));

/**
 * The secret in the form that users type into authenticator apps: base32 (RFC 4648) without
 * padding.
 */
export const totpSecretText = (secret: SecretBytes): string => RFC4648.encode(secret.bytes);

/** The content of the QR code: `otpauth://totp/Coffer:<label>?secret=...`. Secret: never log it. */
export const totpUri = (secret: SecretBytes, label: string, issuer = 'Coffer'): string =>
  generateURI({ issuer, label, secret: totpSecretText(secret), digits: DIGITS, period: STEP_SECONDS });

/**
 * Returns the step of a code: the current one or a neighbour, because users need time to type and
 * clocks of phones differ (RFC 6238, section 5.2).
 * Returns undefined for any other code, and for a step not after `lastStep`: each step is valid
 * once, even if the clock goes back.
 */
export function totpStep(
  secret: SecretBytes,
  typed: string,
  nowMs: number,
  lastStep: number | undefined,
): number | undefined {
  const code = typedCode(typed);
  if (!CODE.test(code)) return undefined;
  const current = Math.floor(nowMs / 1000 / STEP_SECONDS);
  return [current, current - 1, current + 1].find(
    (step) => step > (lastStep ?? -1) && equalBytes(Buffer.from(totpCode(secret, step)), Buffer.from(code)),
  );
}

/** The six digits of one step. */
export const totpCode = (secret: SecretBytes, step: number): string =>
  generateSync({ secret: secret.bytes, epoch: step * STEP_SECONDS, digits: DIGITS, crypto: nodeCrypto });
