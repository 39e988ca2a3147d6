import { equalBytes, randomSecret, sha256 } from '../crypto';

const SECRET_BYTES = 32;
const ID = '[0-9a-f-]{36}';
const SECRET = '[A-Za-z0-9_-]{43}';

/** What stands before id and secret, so that one is never taken for another: links and tickets, for downloads and for drop boxes. */
export type SecretPrefix = 'd' | 'u' | 'dt' | 'ut';

export interface PresentedSecret {
  readonly id: string;
  readonly secret: string;
}

export interface NewSecret {
  /** What the holder gets, once. */
  readonly token: string;
  readonly secretHash: string;
}

/** A fresh 256-bit secret of the row `id`. Guessing is hopeless, so a plain hash of it is what the row keeps. */
export function newSecret(prefix: SecretPrefix, id: string): NewSecret {
  const secret = randomSecret(SECRET_BYTES).toString('base64url');
  return { token: `${prefix}.${id}.${secret}`, secretHash: hashOf(secret) };
}

/** Undefined for what we never gave out. */
export function presentedSecret(prefix: SecretPrefix, token: string): PresentedSecret | undefined {
  const [, id, secret] = new RegExp(`^${prefix}\\.(${ID})\\.(${SECRET})$`).exec(token) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** In constant time: how much of a guess was right is not to be measured. */
export const secretMatches = (secret: string, secretHash: string): boolean =>
  equalBytes(Buffer.from(hashOf(secret), 'utf8'), Buffer.from(secretHash, 'utf8'));

const hashOf = (secret: string): string => sha256(secret).toString('hex');
