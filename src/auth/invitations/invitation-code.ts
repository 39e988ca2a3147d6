import { equalBytes, randomSecret, sha256, typedToken } from '../../crypto';

const SECRET_BYTES = 24;
// The whole code fits in one line of a mail.
const CODE = /^([0-9a-f-]{36})_([A-Za-z0-9_-]{32})$/;

export interface NewInvitationCode {
  /** The code, which is mailed once. */
  readonly code: string;
  readonly secretHash: string;
}

export function newInvitationCode(id: string): NewInvitationCode {
  const secret = randomSecret(SECRET_BYTES).toString('base64url');
  return { code: `${id}_${secret}`, secretHash: hashOf(secret) };
}

/** Returns undefined for a malformed code. */
export function presentedInvitation(code: string): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = CODE.exec(typedToken(code)) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** Compares in constant time. */
export const isInvitationSecret = (secret: string, secretHash: string): boolean =>
  equalBytes(Buffer.from(hashOf(secret), 'utf8'), Buffer.from(secretHash, 'utf8'));

const hashOf = (secret: string): string => sha256(secret).toString('hex');
