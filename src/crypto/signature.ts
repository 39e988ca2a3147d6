import { createHash, createPrivateKey, createPublicKey, KeyObject, sign, verify } from 'node:crypto';
import { SecretBytes } from '../kernel';

/**
 * Prefix of an Ed25519 private key in PKCS #8; the 32 bytes of the seed follow (RFC 8410, section
 * 7).
 */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Ed25519 signature (RFC 8032), 64 bytes. `seed` is the private key, 32 bytes. */
export function signEd25519(seed: SecretBytes, data: Uint8Array | string): Buffer {
  return sign(null, Buffer.from(data), privateKey(seed));
}

/** The public key of a seed, as PEM (SPKI). */
export const ed25519PublicKey = (seed: SecretBytes): string =>
  createPublicKey(privateKey(seed)).export({ type: 'spki', format: 'pem' }) as string;

/**
 * Returns false also for malformed signatures.
 * @throws TypeError if `publicKey` is not an Ed25519 key in PEM
 */
export const verifyEd25519 = (publicKey: string, data: Uint8Array | string, signature: Uint8Array): boolean =>
  verify(null, Buffer.from(data), readPublic(publicKey), signature);

/**
 * Id of a public key: base64url of the SHA-256 of its DER form (SPKI).
 * @throws TypeError as `verifyEd25519`
 */
export const publicKeyId = (publicKey: string): string =>
  createHash('sha256')
    .update(readPublic(publicKey).export({ type: 'spki', format: 'der' }))
    .digest('base64url');

function privateKey(seed: SecretBytes): KeyObject {
  const der = Buffer.concat([PKCS8_PREFIX, seed.bytes]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

function readPublic(pem: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPublicKey(pem);
  } catch {
    // A key that OpenSSL cannot parse is rejected below.
  }
  if (key?.asymmetricKeyType !== 'ed25519') throw new TypeError('not an Ed25519 public key in PEM');
  return key;
}
