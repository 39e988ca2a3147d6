import { DomainError, SecretBytes, type WrappedKey } from '../../kernel';
import { accepted, checkBatch } from './batch';
import { KeyWrap } from './key-wrap';
import { type ItemResult, MasterKey, type UnwrapItem, type WrapItem } from './master-key';

/** Gives the key of a version, undefined where there is none. Asked at once and not across an await: a reload zeroes former keys. */
export type KeyLookup = (version: number) => SecretBytes | undefined;

export type KeyUse = 'wrap' | 'unwrap';

/** A home that hands its keys to this process (a keyring file, a KV document), which wraps with them itself. */
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
   * The keys at hand, read again where one of `versions` is not among them: another process may have made it. For a wrap they are as the
   * home has them now: what is wrapped with a version that another process has retired is lost.
   */
  protected abstract keysFor(versions: readonly number[], use: KeyUse): Promise<KeyLookup>;
}

function required(keyOf: KeyLookup, version: number): SecretBytes {
  const key = keyOf(version);
  if (key === undefined) throw new DomainError('kms_unavailable', { detail: 'The master key cannot be reached.' });
  return key;
}
