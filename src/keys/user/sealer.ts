import { Ciphertext, Plaintext, SecretBytes } from '../../kernel';

/** Which subkey of the user key a value is sealed under (DESIGN section 3): HKDF, one a purpose. */
export type SealPurpose = 'records' | 'file-keys' | 'secrets';

/** Where a sealed value belongs. All of it is bound as additional data, so a value moved elsewhere does not open. */
export interface SealPlace {
  readonly ownerId: string;
  /** `record`, `file`, `user`, `totp`, ... */
  readonly resourceType: string;
  readonly resourceId: string;
  readonly field: string;
  /** A file's version number, where the value belongs to one version. */
  readonly fileVersion?: number;
}

/**
 * What features see instead of keys. Seals with the owner's current user key version; opens with the one that the envelope names.
 * @throws DomainError `kms_unavailable` (the user key is not cached and cannot be unwrapped), `decryption_failed` (whatever is wrong
 * with the envelope: all faults look alike), `not_found` (the owner has no key: never had one or was erased). A DI token.
 */
export abstract class Sealer {
  abstract seal(purpose: SealPurpose, place: SealPlace, value: Plaintext): Promise<Ciphertext>;
  abstract open(purpose: SealPurpose, place: SealPlace, envelope: Ciphertext): Promise<Plaintext>;
  /** Several values of one owner with one look at the key row, order kept: for lists. */
  abstract openMany(
    purpose: SealPurpose,
    items: readonly { place: SealPlace; envelope: Ciphertext }[],
  ): Promise<Plaintext[]>;
  /** HMAC-SHA256 of a file name under the owner's name key, hex: the blind index of names. */
  abstract nameIndex(ownerId: string, name: string): Promise<string>;
  /** A new random file key (32 bytes) and its envelope under `file-keys`. The caller destroys the key. */
  abstract newFileKey(place: SealPlace): Promise<{ key: SecretBytes; envelope: Ciphertext }>;
  abstract openFileKey(place: SealPlace, envelope: Ciphertext): Promise<SecretBytes>;
  /**
   * Runs an insert by the wrap protocol (DESIGN section 3): `insert` must store its row invisible (`pending`) with the envelopes it
   * sealed; then the key row is read again; where its epoch moved, `reseal` seals and replaces; at last `activate` makes it visible.
   */
  abstract currentVersion(ownerId: string): Promise<{ version: number; epoch: number }>;
}
