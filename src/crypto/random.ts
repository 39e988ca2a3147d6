import { randomBytes } from 'node:crypto';
import { SecretBytes } from '../kernel';

export const KEY_BYTES = 32;

/** Random bytes of the operating system, for keys, nonces, salts and tokens. */
export const randomSecret = (size: number): Buffer => randomBytes(size);

/** Creates an AES-256 or HMAC-SHA256 key. The caller destroys it. */
export const newKey = (): SecretBytes => new SecretBytes(randomBytes(KEY_BYTES));
