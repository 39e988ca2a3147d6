/**
 * Encrypts kept responses under the user's key, so that erasing the key erases them. The app module
 * implements it with the Sealer, which http/ does not import. `id` is the row of the response and
 * is bound to the ciphertext.
 */
export abstract class ResponseSealer {
  abstract seal(userId: string, id: string, answer: string): Promise<string>;
  /** @throws DomainError `decryption_failed`, `kms_unavailable`, `not_found` */
  abstract open(userId: string, id: string, sealed: string): Promise<string>;
  /**
   * Re-encrypts the response under the current version of the user's key; undefined if it has that
   * version already.
   * @throws as `open`
   */
  abstract renew(userId: string, id: string, sealed: string): Promise<string | undefined>;
}
