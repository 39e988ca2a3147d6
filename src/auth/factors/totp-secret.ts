import { ciphertext, plaintext, SecretBytes } from '../../kernel';
import { OwnerKeys, EncryptionContext } from '../../keys/user-keys';

/**
 * Pending and confirmed secrets share one encryption context, because confirming moves the envelope
 * between the fields unchanged.
 */
const place = (userId: string): EncryptionContext => ({
  ownerId: userId,
  resourceType: 'user',
  resourceId: userId,
  field: 'totp_secret',
});

/** Record envelope in hex. Does not destroy the secret. */
export const sealTotpSecret = (keys: OwnerKeys, secret: SecretBytes): string =>
  keys.seal('secrets', place(keys.ownerId), plaintext(Buffer.from(secret.bytes))).toString('hex');

/**
 * The caller destroys the result.
 * @throws DomainError `decryption_failed`
 */
export const openTotpSecret = (keys: OwnerKeys, sealed: string): SecretBytes =>
  new SecretBytes(keys.open('secrets', place(keys.ownerId), ciphertext(Buffer.from(sealed, 'hex'))));
