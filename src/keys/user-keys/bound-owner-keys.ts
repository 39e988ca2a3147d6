import { type EnvelopeContext, envelopeVersion, hmacSha256, newKey, openRecord, sealRecord } from '../../crypto';
import { type Ciphertext, DomainError, plaintext, type Plaintext, SecretBytes } from '../../kernel';
import { OpenedUserKey } from './opened-user-key';
import type { OwnerKeys, EncryptionContext, SealPurpose } from './sealer';

const FILE_KEY_BYTES = 32;

/** An opened key as a feature sees it, until the callback that got it has ended. */
export class BoundOwnerKeys implements OwnerKeys {
  #key: OpenedUserKey | undefined;

  constructor(key: OpenedUserKey) {
    this.#key = key;
  }

  get ownerId(): string {
    return this.#live().ownerId;
  }

  get version(): number {
    return this.#live().current;
  }

  seal(purpose: SealPurpose, place: EncryptionContext, value: Plaintext): Ciphertext {
    const key = this.#live();
    if (place.ownerId !== key.ownerId) throw new TypeError('a value is sealed under the key of its own owner');
    return sealRecord(key.subkey(key.current, purpose), key.current, envelopePlace(purpose, place), value);
  }

  open(purpose: SealPurpose, place: EncryptionContext, envelope: Ciphertext): Plaintext {
    const key = this.#live();
    // Another owner's place under this owner's key would fail at the tag; it must not look any different.
    const subkey = key.subkey(envelopeVersion(envelope), purpose);
    return openRecord(subkey, envelopePlace(purpose, place), envelope);
  }

  nameIndex(name: string): string {
    return hmacSha256(this.#live().nameKey(), name).toString('hex');
  }

  newFileKey(place: EncryptionContext): { readonly key: SecretBytes; readonly envelope: Ciphertext } {
    const key = newKey();
    try {
      return { key, envelope: this.seal('file-keys', place, plaintext(key.bytes)) };
    } catch (error) {
      key.destroy();
      throw error;
    }
  }

  openFileKey(place: EncryptionContext, envelope: Ciphertext): SecretBytes {
    const key = new SecretBytes(this.open('file-keys', place, envelope));
    if (key.length === FILE_KEY_BYTES) return key;
    key.destroy();
    throw new DomainError('decryption_failed');
  }

  /** The callback is over: whoever kept this object has nothing. */
  end(): void {
    this.#key = undefined;
  }

  #live(): OpenedUserKey {
    if (this.#key === undefined) throw new TypeError("an owner's keys used after their callback ended");
    return this.#key;
  }
}

const envelopePlace = (purpose: SealPurpose, place: EncryptionContext): EnvelopeContext => ({
  purpose,
  ownerId: place.ownerId,
  resourceType: place.resourceType,
  resourceId: place.resourceId,
  field: place.field,
  ...(place.fileVersion === undefined ? {} : { fileVersion: place.fileVersion }),
});
