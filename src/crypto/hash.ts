import { createHash, createHmac, createSecretKey, hkdfSync, KeyObject, timingSafeEqual } from 'node:crypto';
import { SecretBytes } from '../kernel';
import { KEY_BYTES } from './random';

/** SHA-256 of bytes, or of a string's UTF-8. */
export const sha256 = (data: Uint8Array | string): Buffer => createHash('sha256').update(data).digest();

/** Incremental hash. `digest` may be called once. */
export interface HashStream {
  update(data: Uint8Array | string): void;
  digest(): Buffer;
}

export const sha256Stream = (): HashStream => hashStream('sha256');

/**
 * SHA-1, for the tus checksum extension only. Detects transmission errors; not a security check.
 */
export const sha1Stream = (): HashStream => hashStream('sha1');

function hashStream(algorithm: 'sha1' | 'sha256'): HashStream {
  const hash = createHash(algorithm);
  return { update: (data) => void hash.update(data), digest: () => hash.digest() };
}

// Caches the OpenSSL import of a key. The entry is collected with its SecretBytes, and OpenSSL
// clears the memory that it frees.
const imported = new WeakMap<SecretBytes, KeyObject>();

function keyObject(key: SecretBytes): KeyObject {
  // read first, so that a destroyed key throws even if its import is cached
  const bytes = key.bytes;
  const known = imported.get(key);
  if (known !== undefined) return known;
  const made = createSecretKey(bytes);
  imported.set(key, made);
  return made;
}

export const hmacSha256 = (key: SecretBytes, data: Uint8Array | string): Buffer =>
  createHmac('sha256', keyObject(key)).update(data).digest();

export type HkdfHash = 'sha256' | 'sha512';

/** HKDF (RFC 5869): a subkey of `length` bytes for one purpose. The caller destroys it. */
export function hkdf(
  key: SecretBytes,
  salt: Uint8Array,
  info: Uint8Array | string,
  length = KEY_BYTES,
  hash: HkdfHash = 'sha256',
): SecretBytes {
  return new SecretBytes(Buffer.from(hkdfSync(hash, key.bytes, salt, info, length)));
}

/** Compares in constant time for a given length. Bytes of different length are unequal. */
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

/**
 * A shared secret as a KeyObject, because jsonwebtoken imports a string again at each verification.
 */
export const hmacKeyObject = (secret: string): KeyObject => createSecretKey(Buffer.from(secret, 'utf8'));
