import {
  encodeContext,
  type EnvelopeContext,
  envelopeVersion,
  hkdf,
  hmacSha256,
  newKey,
  openRecord,
  sealRecord,
} from '../../crypto';
import {
  type Ciphertext,
  ciphertext,
  DomainError,
  plaintext,
  type Plaintext,
  SecretBytes,
  StaleKeyVersionError,
} from '../../kernel';

const FILE_KEY_BYTES = 32;
const NO_SALT = Buffer.alloc(0);

/** Which HKDF subkey of the user key encrypts a value (docs/formats.md). */
export type SealPurpose = 'records' | 'file-keys' | 'secrets';

/** What a value belongs to. All of it is associated data: a value that was moved does not open. */
export interface EncryptionContext {
  readonly ownerId: string;
  /** `record`, `file`, `user`, ... */
  readonly resourceType: string;
  readonly resourceId: string;
  readonly field: string;
  /** The version number of the file, where the value belongs to one version of a file. */
  readonly fileVersion?: number;
}

export interface OpenedVersions {
  readonly ownerId: string;
  readonly epoch: number;
  readonly current: number;
  /** The opened key owns them and destroys them. */
  readonly keys: ReadonlyMap<number, SecretBytes>;
  readonly wrappedNameKey: Ciphertext;
}

/** HKDF-SHA256 of one version of a user key, for one purpose. The caller destroys it. */
export const subkeyOf = (key: SecretBytes, purpose: SealPurpose, ownerId: string, version: number): SecretBytes =>
  hkdf(key, NO_SALT, encodeContext(['coffer:user-key:1', purpose, ownerId, version]));

export const nameKeyContext = (ownerId: string): EnvelopeContext => ({
  purpose: 'secrets',
  ownerId,
  resourceType: 'user-key',
  resourceId: ownerId,
  field: 'name-key',
});

/**
 * An owner's unwrapped key with the subkeys derived so far. Requests share it, so its uses are
 * counted: it is zeroed once the cache has dropped it and the last request has released it.
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

  /** The cache drops it: no new user comes. */
  retire(): void {
    this.#retired = true;
    this.#destroyIfUnused();
  }

  #openNameKey(): SecretBytes {
    const secrets = this.subkey(envelopeVersion(this.#wrappedNameKey), 'secrets');
    return new SecretBytes(openRecord(secrets, nameKeyContext(this.ownerId), this.#wrappedNameKey));
  }

  #destroyIfUnused(): void {
    if (!this.#retired || this.#users > 0) return;
    for (const key of [...this.#keys.values(), ...this.#subkeys.values()]) key.destroy();
    this.#nameKey?.destroy();
  }
}

/**
 * The handle of an owner's key as a feature gets it: operations, never the key itself. Valid until
 * the callback of `Sealer.with` ends. `open` and `openFileKey` throw DomainError
 * `decryption_failed` for every fault of an envelope.
 */
export class OwnerKeys {
  #key: OpenedUserKey | undefined;

  constructor(key: OpenedUserKey) {
    this.#key = key;
  }

  get ownerId(): string {
    return this.#live().ownerId;
  }

  /**
   * The current key version, which `seal` uses. `open` uses the version that the envelope names.
   */
  get version(): number {
    return this.#live().current;
  }

  seal(purpose: SealPurpose, context: EncryptionContext, value: Plaintext): Ciphertext {
    const key = this.#live();
    if (context.ownerId !== key.ownerId) throw new TypeError('a value is sealed under the key of its own owner');
    return sealRecord(key.subkey(key.current, purpose), key.current, envelopeContext(purpose, context), value);
  }

  open(purpose: SealPurpose, context: EncryptionContext, envelope: Ciphertext): Plaintext {
    const key = this.#live();
    // The context of another owner fails at the tag, as any other fault does.
    const subkey = key.subkey(envelopeVersion(envelope), purpose);
    return openRecord(subkey, envelopeContext(purpose, context), envelope);
  }

  /** The envelope of a text, lowercase hex. */
  sealText(context: EncryptionContext, text: string, purpose: SealPurpose = 'records'): string {
    const bytes = plaintext(Buffer.from(text, 'utf8'));
    try {
      return this.seal(purpose, context, bytes).toString('hex');
    } finally {
      bytes.fill(0);
    }
  }

  /** @throws DomainError `decryption_failed`, also for a text that is not hex. */
  openText(context: EncryptionContext, envelope: string, purpose: SealPurpose = 'records'): string {
    const bytes = this.open(purpose, context, envelopeOf(envelope));
    try {
      return bytes.toString('utf8');
    } finally {
      bytes.fill(0);
    }
  }

  /** HMAC-SHA256 of a file name under the owner's name key, lowercase hex: the blind index. */
  nameIndex(name: string): string {
    return hmacSha256(this.#live().nameKey(), name).toString('hex');
  }

  /**
   * A new random file key (32 bytes) and its envelope under `file-keys`. The caller destroys it.
   */
  newFileKey(context: EncryptionContext): { readonly key: SecretBytes; readonly envelope: Ciphertext } {
    const key = newKey();
    try {
      return { key, envelope: this.seal('file-keys', context, plaintext(key.bytes)) };
    } catch (error) {
      key.destroy();
      throw error;
    }
  }

  openFileKey(context: EncryptionContext, envelope: Ciphertext): SecretBytes {
    const key = new SecretBytes(this.open('file-keys', context, envelope));
    if (key.length === FILE_KEY_BYTES) return key;
    key.destroy();
    throw new DomainError('decryption_failed');
  }

  /** The callback has ended: a handle that was kept is useless. */
  end(): void {
    this.#key = undefined;
  }

  #live(): OpenedUserKey {
    if (this.#key === undefined) throw new TypeError("an owner's keys used after their callback ended");
    return this.#key;
  }
}

/**
 * Buffer stops at the first character that is not hex: a damaged text fails as a short envelope
 * does.
 */
export const envelopeOf = (hex: string): Ciphertext => ciphertext(Buffer.from(hex, 'hex'));

const envelopeContext = (purpose: SealPurpose, context: EncryptionContext): EnvelopeContext => ({
  purpose,
  ownerId: context.ownerId,
  resourceType: context.resourceType,
  resourceId: context.resourceId,
  field: context.field,
  ...(context.fileVersion === undefined ? {} : { fileVersion: context.fileVersion }),
});
