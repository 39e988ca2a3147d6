import { encodeContext } from '../../crypto';
import { SecretBytes, StartupError, WrappedKey } from '../../kernel';

export interface MasterKeyVersion {
  readonly version: number;
  /** ms since the epoch; 0 where the backend does not say. */
  readonly createdAt: number;
}

export interface MasterKeyState {
  /** The newest version, with which wraps are made. */
  readonly current: number;
  /** All versions that still open something, oldest first. */
  readonly versions: readonly MasterKeyVersion[];
  /**
   * Versions below this one are gone for good from the backend. One that is not listed and not
   * below it is only disabled: an operator can bring it back. Missing where the backend does not
   * say.
   */
  readonly destroyedBelow?: number;
  /**
   * Versions of a former backend that this process cannot ask now: whether they still open anything
   * is not known here.
   */
  readonly unseen?: readonly number[];
}

/**
 * Additional data of a wrap: canonical encoding of (purpose, owner id or `installation`, key
 * version). Never changes in a rewrap.
 */
export type WrapContext = Buffer;

/**
 * One item's outcome in a batch; a refused item never fails its neighbours. `reason` is ours, never
 * the backend's text.
 */
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
  /**
   * Whose key it has to be, in a backend that notes it (a document that any installation on the
   * same mount would find).
   */
  readonly installationId?: string;
}

/**
 * The master key: it wraps keys and stays out of sight. Backends: Transit (the key never leaves
 * Vault), local (an encrypted keyring file) and kv (a document in Vault). A DI token. Every method
 * rejects with `kms_unavailable` within 2 seconds where the backend does not serve; background
 * work, per part.
 */
export abstract class MasterKey {
  abstract readonly home: 'transit' | 'kv' | 'local';
  /**
   * Creates the key where it is missing, else checks and opens it. May be repeated and raced. With
   * `create: false` nothing is created: a new key beside old data would hide that the old one is
   * gone.
   * @throws StartupError where only the operator can help (root key, login, policy, type of the
   * key).
   */
  abstract open(options?: OpenOptions): Promise<void>;
  abstract state(): Promise<MasterKeyState>;
  /** Wraps with version `version` (as read from the key row), order kept. */
  abstract wrap(version: number, items: readonly WrapItem[]): Promise<WrappedKey[]>;
  abstract unwrap(items: readonly UnwrapItem[]): Promise<ItemResult<SecretBytes>[]>;
  /**
   * Wraps again with version `version`, without showing us the key where the backend can (Transit).
   */
  abstract rewrap(version: number, items: readonly UnwrapItem[]): Promise<ItemResult<WrappedKey>[]>;
  /**
   * Makes a version beyond `expected` and returns its number. Where there is one already, it
   * returns the newest one instead: a resumed rotation adopts it. Numbers in between are skipped.
   */
  abstract rotate(expected: number): Promise<number>;
  /**
   * Ends `version` and every earlier one: they open nothing. In Transit and KV an operator can undo
   * it until they are trimmed. May be repeated. The caller has verified that nothing is wrapped by
   * them.
   * @throws TypeError for the newest version.
   */
  abstract retire(version: number): Promise<void>;
  /**
   * Ends all versions below `floor` again where a late write has re-enabled them.
   * @throws DomainError `kms_unavailable`.
   */
  keepEnded(_floor: number): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Destroys `version` and all before it, with an operator's token that the service never has.
   * @throws StartupError where they are not retired, or the token may not.
   */
  trim(_version: number, _operatorToken: string): Promise<void> {
    const said = `MASTER_KEY is ${this.home}: a retired version is dropped there, and nothing is left to be trimmed.`;
    return Promise.reject(new StartupError(said));
  }

  /** Rejects where the backend does not serve. */
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

/**
 * What a wrapped key is for. A purpose belongs either to owners or to the installation, never to
 * both.
 */
export type WrapPurpose = 'user-key' | 'integrity' | 'integrity-opening' | 'one-time-codes' | 'receipts';

/** The owner of the installation's own keys. */
export const INSTALLATION = 'installation';

/**
 * The additional data of one wrap. It names purpose, owner and version, so that a person with write
 * access to the store who puts one owner's wrapped key into another owner's row, or an old version
 * into the place of a new one, has a row that does not unwrap. The version of the master key is not
 * part of it: a rewrap keeps the context (docs/formats.md).
 */
export const wrapContext = (purpose: WrapPurpose, owner: string, keyVersion: number): WrapContext =>
  encodeContext([purpose, owner, keyVersion]);
