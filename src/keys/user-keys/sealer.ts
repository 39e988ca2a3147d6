import { Ciphertext, isDomainError, Plaintext, SecretBytes } from '../../kernel';

/** Which subkey of the user key a value is sealed under (docs/formats.md): HKDF, one a purpose. */
export type SealPurpose = 'records' | 'file-keys' | 'secrets';

/** Where a sealed value belongs. All of it is bound as additional data, so a value that was moved elsewhere does not open. */
export interface EncryptionContext {
  readonly ownerId: string;
  /** `record`, `file`, `user`, ... */
  readonly resourceType: string;
  readonly resourceId: string;
  readonly field: string;
  /** A file's version number, where the value belongs to one version of a file. */
  readonly fileVersion?: number;
}

/**
 * One owner's keys as a feature sees them: no raw key, only what can be done with it. Valid inside the callback of `Sealer.with`.
 * `open` and `openFileKey` throw DomainError `decryption_failed`, whatever is wrong with the envelope: all faults look alike.
 */
export interface OwnerKeys {
  readonly ownerId: string;
  /** The current user key version: what `seal` uses. `open` uses the one that the envelope names. */
  readonly version: number;
  seal(purpose: SealPurpose, place: EncryptionContext, value: Plaintext): Ciphertext;
  open(purpose: SealPurpose, place: EncryptionContext, envelope: Ciphertext): Plaintext;
  /** HMAC-SHA256 of a file name under the owner's name key, lowercase hex: the blind index of names. */
  nameIndex(name: string): string;
  /** A new random file key (32 bytes) and its envelope under `file-keys`. The caller destroys the key. */
  newFileKey(place: EncryptionContext): { readonly key: SecretBytes; readonly envelope: Ciphertext };
  openFileKey(place: EncryptionContext, envelope: Ciphertext): SecretBytes;
}

/**
 * A new row by the wrap protocol (docs/keys.md). `pending` seals and stores the row invisible; the key row is then read again, and
 * while its epoch has moved `again` seals anew from the plaintext still in hand and replaces; `activate` makes the row visible.
 * A replace of an existing row needs none of this if the row is read BEFORE `Sealer.with` reads the key row: a retire in between has
 * to rewrite the row, and the compare-and-set fails.
 */
export interface SealedInsert<Row> {
  pending(keys: OwnerKeys): Promise<Row>;
  again(row: Row, keys: OwnerKeys): Promise<Row>;
  activate(row: Row): Promise<Row>;
}

/**
 * What features see instead of keys. A DI token.
 * @throws DomainError `kms_unavailable` (the key is not cached and cannot be unwrapped), `not_found` (the owner has no key: never had
 * one, or was erased).
 */
export abstract class Sealer {
  /** Reads the owner's key row, takes the key from the cache if its epoch still holds, else unwraps it (single-flight). */
  abstract with<T>(ownerId: string, use: (keys: OwnerKeys) => T | Promise<T>): Promise<T>;
  abstract insert<Row>(ownerId: string, steps: SealedInsert<Row>): Promise<Row>;
}

/** Lifecycle of user keys, for users/ and account-lifecycle. A DI token. */
export abstract class UserKeys {
  /**
   * A fresh key and name key for a new owner, by the wrap protocol; safe to repeat. `name` is the owner's user name, unique among the
   * owners there are: where wraps lie in Vault, they lie under it. @throws DomainError `conflict` where another owner's key is there.
   */
  abstract create(ownerId: string, name: string): Promise<void>;
  /** Destroys the owner's key: nothing sealed under it opens again, on any replica. Safe to repeat. */
  abstract destroy(ownerId: string): Promise<void>;
}

/**
 * A name of somebody else's, sealed under the owner's key, as a list shows it: null where it does not open, undefined where the key
 * is gone, since its owner is being erased at this moment.
 * @throws DomainError `kms_unavailable`
 */
export async function openedName(
  sealer: Sealer,
  ownerId: string,
  open: (keys: OwnerKeys) => string,
): Promise<string | null | undefined> {
  try {
    return await sealer.with(ownerId, open);
  } catch (error) {
    if (isDomainError(error, 'decryption_failed')) return null;
    if (isDomainError(error, 'not_found')) return undefined;
    throw error;
  }
}
