import { encodeContext } from '../../crypto';
import { SecretBytes, StartupError, WrappedKey } from '../../kernel';

export interface MasterKeyVersion {
  readonly version: number;
  /** ms since the epoch; 0 where the home does not say. */
  readonly createdAt: number;
}

export interface MasterKeyState {
  /** The newest version, with which wraps are made. */
  readonly current: number;
  /** All versions that still open something, oldest first. */
  readonly versions: readonly MasterKeyVersion[];
  /**
   * Versions below this one are gone for good from the home. One that is not listed and not below it is only disabled: an operator can bring it
   * back. Missing where the home does not say.
   */
  readonly destroyedBelow?: number;
  /** Versions of a former home that this process cannot ask now: whether they still open anything is not known here. */
  readonly unseen?: readonly number[];
}

/** Additional data of a wrap: canonical encoding of (purpose, owner id or `installation`, key version). Never changes in a rewrap. */
export type WrapContext = Buffer;

/** One item's outcome in a batch; a refused item never fails its neighbours. `reason` is ours, never the backend's text. */
export type ItemResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

export interface WrapItem {
  readonly key: SecretBytes;
  readonly context: WrapContext;
}

export interface UnwrapItem {
  readonly wrapped: WrappedKey;
  readonly context: WrapContext;
}

export interface OpenOptions {
  readonly create?: boolean;
  /** Whose key it has to be, in a home that notes it (a document that any installation on the same mount would find). */
  readonly installationId?: string;
}

/**
 * The master key: wraps keys and is never seen by the callers. Homes: Transit (the key never leaves Vault), local (a sealed keyring
 * file) and kv (a document in Vault). A DI token. Every method rejects with DomainError `kms_unavailable` within 2 seconds where
 * the home does not answer, is sealed or refuses us; a batch of background work that is done in parts, within that time for a part of it.
 * Batches hold 200 items at most.
 */
export abstract class MasterKey {
  abstract readonly home: 'transit' | 'kv' | 'local';
  /**
   * Makes the key where it is absent and we may; else checks that it is there and opens. Safe to repeat and to race. With `create: false`
   * (an installation exists) nothing is made: a new key beside old data would only hide that the old one is gone.
   * @throws StartupError where only the operator can help (wrong root key, refused login, policy, a key of another type).
   */
  abstract open(options?: OpenOptions): Promise<void>;
  abstract state(): Promise<MasterKeyState>;
  /** Wraps with version `version` (as read from the key row), order kept. */
  abstract wrap(version: number, items: readonly WrapItem[]): Promise<WrappedKey[]>;
  abstract unwrap(items: readonly UnwrapItem[]): Promise<ItemResult<SecretBytes>[]>;
  /** Wraps again with version `version`, without showing us the key where the home can (Transit). */
  abstract rewrap(version: number, items: readonly UnwrapItem[]): Promise<ItemResult<WrappedKey>[]>;
  /**
   * Makes a version beyond `expected` and returns its number. Where the home is past it already, nothing is made and the newest one is
   * returned (a resumed rotation adopts it). Where it is behind, as a home is that the master key moves to, numbers are passed over.
   */
  abstract rotate(expected: number): Promise<number>;
  /**
   * Ends `version` and every earlier one: they open nothing from then on. Transit disables them and kv drops them from the document, both of
   * which can be undone in Vault until they are trimmed; the keyring drops them for good. Safe to repeat. The caller has seen to it that nothing is wrapped by them (wrap protocol).
   * @throws TypeError for the newest version.
   */
  abstract retire(version: number): Promise<void>;
  /**
   * Ends all versions below `floor` again where a late write of a process that slept has set the home back. Nothing to do in the homes that
   * drop what they retire. @throws DomainError `kms_unavailable`.
   */
  keepEnded(_floor: number): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Makes the end of `version` and all before it final, with an operator's token that the service never has.
   * @throws StartupError where they are not retired, where the token may not, and in the home that drops versions when it retires them.
   */
  trim(_version: number, _operatorToken: string): Promise<void> {
    const said = `MASTER_KEY is ${this.home}: a retired version is dropped there, and nothing is left to be trimmed.`;
    return Promise.reject(new StartupError(said));
  }

  /** Rejects where the home does not serve. */
  async ping(): Promise<void> {
    await this.state();
  }

  /** Drops keys, tokens and timers that this process holds. */
  abstract close(): Promise<void>;
}

/** The most items that one call of the port may hold. */
export const MAX_BATCH = 200;

export const accepted = <T>(value: T): ItemResult<T> => ({ ok: true, value });
export const refusedItem = (reason: string): { readonly ok: false; readonly reason: string } => ({ ok: false, reason });

export function checkBatch(items: readonly unknown[]): void {
  if (items.length > MAX_BATCH) throw new TypeError(`a batch holds ${MAX_BATCH} items at most`);
}

export function checkRetirable(version: number, current: number): void {
  if (version >= current) throw new TypeError('the newest master key version is not retired');
}

/** What a wrapped key is for. A purpose belongs either to owners or to the installation, never to both. */
export type WrapPurpose = 'user-key' | 'integrity' | 'integrity-opening' | 'one-time-codes' | 'receipts';

/** The owner of the installation's own keys. */
export const INSTALLATION = 'installation';

/**
 * The additional data of one wrap. It names purpose, owner and version, so that a person with write access to the store who puts one
 * owner's wrapped key into another owner's row, or an old version into the place of a new one, has a row that does not unwrap.
 * The version of the master key is not part of it: a rewrap keeps the context (docs/formats.md).
 */
export const wrapContext = (purpose: WrapPurpose, owner: string, keyVersion: number): WrapContext =>
  encodeContext([purpose, owner, keyVersion]);
