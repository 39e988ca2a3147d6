import { randomBytes } from 'node:crypto';
import { SecretBytes } from '../kernel';

export const KEY_BYTES = 32;

/** `size` bytes of the operating system's generator: keys, nonces, salts, tokens. */
export const randomSecret = (size: number): Buffer => randomBytes(size);

/** A new AES-256 or HMAC-SHA256 key. The caller destroys it. */
export const newKey = (): SecretBytes => new SecretBytes(randomBytes(KEY_BYTES));
