import { Logger } from '@nestjs/common';
import { DomainError, SecretBytes, StartRefused } from '../../../kernel';
import { HeldMasterKey, type KeyLookup } from '../held-master-key';
import type { MasterKeyState } from '../master-key';
import { type Keyring, newKeyring, withNewVersion } from './keyring';
import { errnoOf } from './errno';
import { KeyringFault } from './keyring-format';
import { KeyringStore } from './keyring-store';

/**
 * The master key in a file of DATA_DIR, sealed with COFFER_ROOT_KEY: for one host, where there is no Vault. The processes of the host
 * share the file; each reads it again when it meets a version that it does not know.
 */
export class LocalMasterKey extends HeldMasterKey {
  readonly #logger = new Logger('LocalMasterKey');
  readonly #keyrings: KeyringStore;

  constructor(dataDir: string, rootKey: string) {
    super('local');
    this.#keyrings = new KeyringStore(dataDir, rootKey);
  }

  async open({ create = true }: { readonly create?: boolean } = {}): Promise<void> {
    try {
      if ((await this.#keyrings.reload()) !== undefined) return;
      if (!create)
        throw new StartRefused(`${this.#keyrings.path} is missing: put the keyring of this installation back.`);
      await this.#keyrings.advance(0, () => newKeyring(Date.now()));
      // Undefined where another process was quicker: then its keyring is ours.
      if ((await this.#keyrings.reload()) === undefined) throw unavailable();
    } catch (error) {
      throw this.#startRefusal(error);
    }
  }

  async state(): Promise<MasterKeyState> {
    const { current, versions } = await this.#fresh();
    const listed = [...versions].map(([version, { createdAt }]) => ({ version, createdAt }));
    listed.sort((a, b) => a.version - b.version);
    return { current, versions: listed, destroyedBelow: listed[0]?.version ?? 0 };
  }

  async rotate(expected: number): Promise<number> {
    const seen = await this.#fresh();
    if (seen.current > expected) return seen.current;
    const rotated = await this.#serving(() => this.#keyrings.advance(seen.generation, successor));
    // Where another process rotated in the meantime its version is adopted; where the lock was not to be had there is still none.
    const { current } = rotated ?? (await this.#fresh());
    if (current <= expected) throw unavailable();
    return current;
  }

  async ping(): Promise<void> {
    await this.#fresh();
  }

  close(): Promise<void> {
    this.#keyrings.forget();
    return Promise.resolve();
  }

  #known(version: number): SecretBytes | undefined {
    return this.#keyrings.held?.versions.get(version)?.key;
  }

  protected async keysFor(versions: readonly number[]): Promise<KeyLookup> {
    if (versions.some((version) => this.#known(version) === undefined)) await this.#fresh();
    return (version) => this.#known(version);
  }

  async #fresh(): Promise<Keyring> {
    const keyring = await this.#serving(() => this.#keyrings.reload());
    if (keyring !== undefined) return keyring;
    this.#logger.error('keyring.json is gone');
    throw unavailable();
  }

  /** A keyring that cannot be read or written while the service runs: an outage of the key home, told by its kind. */
  async #serving<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#logger.error(`keyring.json: ${error instanceof KeyringFault ? error.message : errnoOf(error)}`);
      throw unavailable();
    }
  }

  #startRefusal(error: unknown): unknown {
    const path = this.#keyrings.path;
    if (error instanceof KeyringFault) return new StartRefused(faultLine(error, path));
    const code = errnoOf(error);
    return code === 'unknown' ? error : new StartRefused(`${path} cannot be written (${code}).`);
  }
}

const unavailable = (): DomainError =>
  new DomainError('kms_unavailable', { detail: 'The master key cannot be reached.' });

function successor(found: Keyring | undefined): Keyring {
  if (found === undefined) throw new KeyringFault('unreadable', 'ENOENT');
  return withNewVersion(found, Date.now());
}

function faultLine({ kind, code }: KeyringFault, path: string): string {
  switch (kind) {
    case 'wrong_root_key':
      return `COFFER_ROOT_KEY does not open ${path}: set the root key that it was sealed with.`;
    case 'damaged':
      return `${path} is damaged and was left as it is: restore it from a backup.`;
    case 'newer_format':
      return `${path} was written by a newer version of Coffer: start that one.`;
    case 'unreadable':
      return `${path} cannot be read (${code ?? 'unknown'}).`;
  }
}
