import { encodeContext, type EnvelopeContext, envelopeVersion, hkdf, openRecord } from '../../crypto';
import { type Ciphertext, DomainError, SecretBytes, StaleKeyVersionError } from '../../kernel';
import type { SealPurpose } from './sealer';

const NO_SALT = Buffer.alloc(0);

/** HKDF-SHA256 of one version of an owner's key, for one purpose (docs/formats.md). The caller destroys it. */
export const subkeyOf = (key: SecretBytes, purpose: SealPurpose, ownerId: string, version: number): SecretBytes =>
  hkdf(key, NO_SALT, encodeContext(['coffer:user-key:1', purpose, ownerId, version]));

export const nameKeyPlace = (ownerId: string): EnvelopeContext => ({
  purpose: 'secrets',
  ownerId,
  resourceType: 'user-key',
  resourceId: ownerId,
  field: 'name-key',
});

export interface OpenedVersions {
  readonly ownerId: string;
  readonly epoch: number;
  readonly current: number;
  /** Taken over: destroyed with the opened key. */
  readonly keys: ReadonlyMap<number, SecretBytes>;
  readonly wrappedNameKey: Ciphertext;
}

/**
 * An owner's unwrapped key with the subkeys derived so far. Shared by everybody who works with it at the time, hence counted: it is zeroed
 * when the cache has let go of it and its last user has released it, and never under a user's hands.
 */
export class OpenedUserKey {
  readonly ownerId: string;
  readonly epoch: number;
  readonly current: number;
  readonly #keys: ReadonlyMap<number, SecretBytes>;
  readonly #subkeys = new Map<string, SecretBytes>();
  readonly #wrappedNameKey: Ciphertext;
  #nameKey: SecretBytes | undefined;
  #users = 0;
  #retired = false;

  constructor(opened: OpenedVersions) {
    this.ownerId = opened.ownerId;
    this.epoch = opened.epoch;
    this.current = opened.current;
    this.#keys = opened.keys;
    this.#wrappedNameKey = opened.wrappedNameKey;
  }

  /** @throws DomainError `decryption_failed` for a version that the owner does not have. */
  subkey(version: number, purpose: SealPurpose): SecretBytes {
    const id = `${version}:${purpose}`;
    const known = this.#subkeys.get(id);
    if (known !== undefined) return known;
    const key = this.#keys.get(version);
    if (key === undefined)
      throw version < this.current ? new StaleKeyVersionError() : new DomainError('decryption_failed');
    const derived = subkeyOf(key, purpose, this.ownerId, version);
    this.#subkeys.set(id, derived);
    return derived;
  }

  /** @throws DomainError `decryption_failed`. */
  nameKey(): SecretBytes {
    this.#nameKey ??= this.#openNameKey();
    return this.#nameKey;
  }

  retain(users = 1): void {
    this.#users += users;
  }

  release(): void {
    this.#users -= 1;
    this.#destroyIfUnused();
  }

  /** The cache lets go of it: nobody new will come. */
  retire(): void {
    this.#retired = true;
    this.#destroyIfUnused();
  }

  #openNameKey(): SecretBytes {
    const secrets = this.subkey(envelopeVersion(this.#wrappedNameKey), 'secrets');
    return new SecretBytes(openRecord(secrets, nameKeyPlace(this.ownerId), this.#wrappedNameKey));
  }

  #destroyIfUnused(): void {
    if (!this.#retired || this.#users > 0) return;
    for (const key of [...this.#keys.values(), ...this.#subkeys.values()]) key.destroy();
    this.#nameKey?.destroy();
  }
}
