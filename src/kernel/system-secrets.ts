import { SecretBytes } from './secret-bytes';

/**
 * The keys of the installation itself (docs/keys.md), each wrapped by the master key and held for
 * the life of the process.
 * Implemented by keys/system; 32 bytes each.
 * @throws DomainError `kms_unavailable` from each getter until they have been opened.
 */
export abstract class SystemSecrets {
  /** HMAC key of the row seals. */
  abstract get integrity(): SecretBytes;
  /**
   * HMAC key of one-time codes, recovery codes and refresh tokens; cursors and idempotent answers
   * derive theirs from it.
   */
  abstract get oneTimeCodes(): SecretBytes;
  /** Seed of the Ed25519 key that signs receipts. */
  abstract get receipts(): SecretBytes;
}
