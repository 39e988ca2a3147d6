import { aeadOpen, aeadSeal, encodeContext } from '../../crypto';
import { DomainError, isDomainError, SecretBytes, type WrappedKey } from '../../kernel';
import { accepted, refusedItem } from './batch';
import type { ItemResult, UnwrapItem, WrapContext } from './master-key';

/** Of nine digits: a greater number would make a wrap that nobody opens. */
const MAX_MASTER_VERSION = 999_999_999;

/** The number after `current` and `expected`. @throws DomainError `conflict` where there is none. */
export function nextMasterVersion(current: number, expected: number): number {
  const next = Math.max(current, expected) + 1;
  if (next <= MAX_MASTER_VERSION) return next;
  throw new DomainError('conflict', { detail: `The master key has used all of its ${MAX_MASTER_VERSION} versions.` });
}

/**
 * `<home>:v<N>:<base64 of nonce, ciphertext, tag>` (docs/formats.md): AES-256-GCM under version N of a master key that this process holds,
 * bound to the home, to N and to the context.
 */
export class KeyWrap {
  readonly #shape: RegExp;

  constructor(private readonly home: 'local' | 'kv') {
    this.#shape = new RegExp(`^${home}:v([1-9]\\d{0,8}):([A-Za-z0-9+/]+={0,2})$`);
  }

  seal(master: SecretBytes, version: number, key: SecretBytes, context: WrapContext): WrappedKey {
    const sealed = aeadSeal(master, key.bytes, this.#additionalData(version, context));
    return { masterVersion: version, ciphertext: `${this.home}:v${version}:${sealed.toString('base64')}` };
  }

  /** `masterOf` gives the key of a version, undefined where there is none. */
  open(item: UnwrapItem, masterOf: (version: number) => SecretBytes | undefined): ItemResult<SecretBytes> {
    const { masterVersion, ciphertext } = item.wrapped;
    const [, version, sealed] = this.#shape.exec(ciphertext) ?? [];
    if (sealed === undefined) return refusedItem('not a wrap of this key home');
    // The row's own number is what retire counts: a row that claims another version than its wrap would be lost by it.
    if (Number(version) !== masterVersion) return refusedItem('the wrap is of another master key version');
    const master = masterOf(masterVersion);
    if (master === undefined) return refusedItem('master key version does not exist');
    try {
      const aad = this.#additionalData(masterVersion, item.context);
      return accepted(new SecretBytes(aeadOpen(master, Buffer.from(sealed, 'base64'), aad)));
    } catch (error) {
      if (isDomainError(error, 'decryption_failed')) return refusedItem('the wrap does not open');
      throw error;
    }
  }

  #additionalData(version: number, context: WrapContext): Buffer {
    return encodeContext([`coffer-${this.home}-wrap`, 1, version, context.toString('hex')]);
  }
}
