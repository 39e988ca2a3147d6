/**
 * Seals kept answers under the user's own key, so that erasing the key erases them. Implemented in app.module over the Sealer, which
 * http/ does not know. `id` is the row that the answer belongs to and is bound to it.
 */
export abstract class ResponseSealer {
  abstract seal(userId: string, id: string, answer: string): Promise<string>;
  /** @throws DomainError `decryption_failed`, `kms_unavailable`, `not_found` */
  abstract open(userId: string, id: string, sealed: string): Promise<string>;
  /** The answer sealed under the key version that the user has now; undefined where it is already. @throws as `open` */
  abstract renew(userId: string, id: string, sealed: string): Promise<string | undefined>;
}
