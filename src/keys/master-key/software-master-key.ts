import { aeadOpen, aeadSeal, encodeContext } from '../../crypto';
import { DomainError, isDomainError, SecretBytes, type WrappedKey } from '../../kernel';
import {
  accepted,
  checkBatch,
  type ItemResult,
  MasterKey,
  refusedItem,
  type UnwrapItem,
  type WrapContext,
  type WrapItem,
} from './master-key';

/**
 * Gives the key of a version, undefined where there is none. Asked at once and not across an await:
 * a reload zeroes former keys.
 */
export type KeyLookup = (version: number) => SecretBytes | undefined;

export type KeyUse = 'wrap' | 'unwrap';

/**
 * A backend that hands its keys to this process (a keyring file, a KV document), which wraps with
 * them itself.
 */
export abstract class SoftwareMasterKey extends MasterKey {
  readonly #wraps: KeyWrap;

  constructor(override readonly home: 'local' | 'kv') {
    super();
    this.#wraps = new KeyWrap(home);
  }

  async wrap(version: number, items: readonly WrapItem[]): Promise<WrappedKey[]> {
    checkBatch(items);
    const master = required(await this.keysFor([version], 'wrap'), version);
    return items.map((item) => this.#wraps.seal(master, version, item.key, item.context));
  }

  async unwrap(items: readonly UnwrapItem[]): Promise<ItemResult<SecretBytes>[]> {
    checkBatch(items);
    const keyOf = await this.keysFor(
      items.map(({ wrapped }) => wrapped.masterVersion),
      'unwrap',
    );
    return items.map((item) => this.#wraps.open(item, keyOf));
  }

  async rewrap(version: number, items: readonly UnwrapItem[]): Promise<ItemResult<WrappedKey>[]> {
    checkBatch(items);
    const keyOf = await this.keysFor([version, ...items.map(({ wrapped }) => wrapped.masterVersion)], 'wrap');
    const master = required(keyOf, version);
    return items.map((item) => {
      const opened = this.#wraps.open(item, keyOf);
      if (!opened.ok) return opened;
      const wrapped = this.#wraps.seal(master, version, opened.value, item.context);
      opened.value.destroy();
      return accepted(wrapped);
    });
  }

  /**
   * The keys at hand, read again where one of `versions` is not among them: another process may
   * have made it. For a wrap they are as the backend has them now: what is wrapped with a version
   * that another process has retired is lost.
   */
  protected abstract keysFor(versions: readonly number[], use: KeyUse): Promise<KeyLookup>;
}

function required(keyOf: KeyLookup, version: number): SecretBytes {
  const key = keyOf(version);
  if (key === undefined) throw new DomainError('kms_unavailable', { detail: 'The master key cannot be reached.' });
  return key;
}

/** Of nine digits: a greater number would make a wrap that nobody opens. */
const MAX_MASTER_VERSION = 999_999_999;

/**
 * The number after `current` and `expected`.
 * @throws DomainError `conflict` where there is none.
 */
export function nextMasterVersion(current: number, expected: number): number {
  const next = Math.max(current, expected) + 1;
  if (next <= MAX_MASTER_VERSION) return next;
  throw new DomainError('conflict', { detail: `The master key has used all of its ${MAX_MASTER_VERSION} versions.` });
}

/**
 * `<home>:v<N>:<base64 of nonce, ciphertext, tag>` (docs/formats.md): AES-256-GCM under version N
 * of a master key that this process holds, bound to the backend, to N and to the context.
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
    // The row's own number is what retire counts: a row that claims another version than its wrap
    // would be lost by it.
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
