import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto';
import { SecretBytes } from '../kernel';
import { decryptionFailed } from './format-fault';
import { KEY_BYTES } from './random';

export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
/** Bytes that `aeadSeal` adds to a plaintext. */
export const AEAD_OVERHEAD = NONCE_BYTES + TAG_BYTES;
const CIPHER = 'aes-256-gcm';
// Without a fixed length Node accepts truncated tags, and a tag of 4 bytes can be guessed.
const PINNED = { authTagLength: TAG_BYTES } as const;

function checked(key: SecretBytes): Buffer {
  if (key.length !== KEY_BYTES) throw new TypeError(`an AES-256 key has ${KEY_BYTES} bytes`);
  return key.bytes;
}

/**
 * AES-256-GCM with a given nonce: `ciphertext | tag`. The caller must never use a nonce twice under
 * one key.
 */
export function gcmEncrypt(key: SecretBytes, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const cipher = createCipheriv(CIPHER, checked(key), nonce, PINNED).setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/**
 * Decrypts `ciphertext | tag`; returns undefined if it does not verify. Never returns unverified
 * plaintext.
 */
export function gcmDecrypt(
  key: SecretBytes,
  nonce: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const split = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, checked(key), nonce, PINNED).setAAD(aad);
  decipher.setAuthTag(sealed.subarray(split));
  const opened = decipher.update(sealed.subarray(0, split));
  try {
    decipher.final();
    return opened;
  } catch {
    opened.fill(0);
    return undefined;
  }
}

const drawn = Buffer.alloc(NONCE_BYTES * 256);
let used = drawn.length;

/**
 * Returns random bytes of the operating system, each used once; valid until the next call.
 * Nonces are drawn in bulk, because one call of the generator costs more than sealing a key. Only
 * non-secret values may wait in memory like this.
 */
function nextNonce(): Buffer {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  used += NONCE_BYTES;
  return drawn.subarray(used - NONCE_BYTES, used);
}

/**
 * AES-256-GCM with a random nonce: `nonce (12) | ciphertext | tag (16)`. At most 2^32 calls under
 * one key (SP 800-38D, 8.3).
 */
export function aeadSeal(key: SecretBytes, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const nonce = nextNonce();
  return Buffer.concat([nonce, gcmEncrypt(key, nonce, plaintext, aad)]);
}

/**
 * @throws DomainError `decryption_failed` for any fault: key, additional data, length or a flipped
 * bit
 */
export function aeadOpen(key: SecretBytes, sealed: Uint8Array, aad: Uint8Array): Buffer {
  if (sealed.length < AEAD_OVERHEAD) throw decryptionFailed('length');
  const opened = gcmDecrypt(key, sealed.subarray(0, NONCE_BYTES), sealed.subarray(NONCE_BYTES), aad);
  if (opened === undefined) throw decryptionFailed('tag');
  return opened;
}
