import { Logger } from '@nestjs/common';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError, isDomainError, SECOND, SecretBytes, StartupError, stretched } from '../../../kernel';
import { checkRetirable, type MasterKeyState } from '../master-key';
import { DATA_MASTER_KEY, type MasterKeyInstance } from '../master-key-instance';
import { type KeyLookup, nextMasterVersion, SoftwareMasterKey } from '../software-master-key';
import { linkRefusal } from './keyring-file';
import { type Keyring, KeyringFault, newKeyring, withNewVersion, withoutVersions } from './keyring-format';
import { KeyringStore } from './keyring-store';
import { errnoOf } from './older-writers';

/** How long a write is tried again that other writers passed by without a new generation. */
const WRITE_PATIENCE_MS = 1.5 * SECOND;
const RETRY_MS = 5;

/**
 * The master key in a file of DATA_DIR, sealed with COFFER_ROOT_KEY: for one host, where there is
 * no Vault. The processes of the host share the file; each reads it again where another one has
 * written it, so that a retired version opens and wraps nothing anywhere.
 */
export class LocalMasterKey extends SoftwareMasterKey {
  readonly #logger = new Logger('LocalMasterKey');
  readonly #keyrings: KeyringStore;
  readonly #folder: string;
  readonly #isOwnFolder: boolean;
  #flight: Promise<Keyring> | undefined;

  constructor(dataDir: string, rootKey: string, instance: MasterKeyInstance = DATA_MASTER_KEY) {
    super('local');
    this.#folder = instance.keyringFolder(dataDir);
    this.#isOwnFolder = this.#folder !== dataDir;
    this.#keyrings = new KeyringStore(this.#folder, rootKey);
  }

  async open({ create = true }: { readonly create?: boolean } = {}): Promise<void> {
    try {
      if (create && this.#isOwnFolder) await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const found = await this.#keyrings.reload();
      if (found === undefined && !create)
        throw new StartupError(`${this.#keyrings.path} is missing: put the keyring of this installation back.`);
      await this.#requireLinks();
      if (found === undefined) await this.#first();
    } catch (error) {
      throw this.#startRefusal(error);
    }
  }

  /** A keyring that cannot be rotated is told at the start, and not when a version has to end. */
  async #requireLinks(): Promise<void> {
    const code = await linkRefusal(this.#folder);
    if (code === undefined) return;
    throw new StartupError(
      `${this.#folder} has no hard links (link: ${code}), which the local keyring is written with: put DATA_DIR on a file system ` +
        'that has them (docs/operations.md, "Backends of the master key").',
    );
  }

  /** Made here, or by another process that was quicker. */
  async #first(): Promise<void> {
    const until = performance.now() + stretched(WRITE_PATIENCE_MS);
    do {
      await this.#keyrings.advance(0, () => newKeyring(Date.now()));
      if ((await this.#keyrings.reload()) !== undefined) return;
      await sleep(RETRY_MS);
    } while (performance.now() < until);
    throw unavailable();
  }

  async state(): Promise<MasterKeyState> {
    const { current, versions } = await this.#fresh();
    const listed = [...versions].map(([version, { createdAt }]) => ({ version, createdAt }));
    listed.sort((a, b) => a.version - b.version);
    return { current, versions: listed, destroyedBelow: listed[0]?.version ?? 0 };
  }

  /** Where another process rotated in the meantime its version is adopted. */
  async rotate(expected: number): Promise<number> {
    const { current } = await this.#rewrite(
      // Asked for here as well: nothing is begun for a version that cannot be.
      (seen) => seen.current > expected || nextMasterVersion(seen.current, expected) <= expected,
      (found) => withNewVersion(found, Date.now(), expected),
    );
    return current;
  }

  /**
   * The keyring is written anew without them, and no file of the folder has them. Copies elsewhere
   * are the operator's to remove.
   */
  async retire(version: number): Promise<void> {
    await this.#rewrite(
      (seen) => {
        checkRetirable(version, seen.current);
        return ![...seen.versions.keys()].some((known) => known <= version);
      },
      (found) => withoutVersions(found, version),
    );
  }

  close(): Promise<void> {
    this.#keyrings.forget();
    return Promise.resolve();
  }

  #known(version: number): SecretBytes | undefined {
    return this.#keyrings.held?.versions.get(version)?.key;
  }

  protected async keysFor(versions: readonly number[]): Promise<KeyLookup> {
    const isStale = (): boolean =>
      this.#keyrings.hasMoved() || versions.some((version) => this.#known(version) === undefined);
    if (isStale()) {
      const joined = this.#flight !== undefined;
      await this.#shared();
      // A read that was running already may have begun before the file was written.
      if (joined && isStale()) await this.#shared();
    }
    return (version) => this.#known(version);
  }

  /** One read of the file for all who ask at the same time. */
  #shared(): Promise<Keyring> {
    this.#flight ??= this.#fresh().finally(() => (this.#flight = undefined));
    return this.#flight;
  }

  /**
   * The keyring as soon as it `isSo`, which one write of `next` makes it; again where another
   * process wrote the file in between.
   */
  async #rewrite(isSo: (seen: Keyring) => boolean, next: (found: Keyring) => Keyring): Promise<Keyring> {
    for (let until = performance.now() + stretched(WRITE_PATIENCE_MS), former = 0; ;) {
      const seen = await this.#fresh();
      if (isSo(seen)) return seen;
      if (seen.generation !== former) until = performance.now() + stretched(WRITE_PATIENCE_MS);
      else if (performance.now() > until) throw unavailable();
      former = seen.generation;
      const written = await this.#serving(() => this.#keyrings.advance(former, (found) => next(present(found))));
      if (written !== undefined) return written;
      await sleep(RETRY_MS);
    }
  }

  async #fresh(): Promise<Keyring> {
    const keyring = await this.#serving(() => this.#keyrings.reload());
    if (keyring !== undefined) return keyring;
    this.#logger.error('keyring.json is gone');
    throw unavailable();
  }

  /**
   * A keyring that cannot be read or written while the service runs: an outage of the key backend,
   * told by its kind.
   */
  async #serving<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isDomainError(error)) throw error;
      this.#logger.error(error instanceof KeyringFault ? error.message : `keyring.json: ${errnoOf(error)}`);
      throw unavailable();
    }
  }

  #startRefusal(error: unknown): unknown {
    const path = this.#keyrings.path;
    if (error instanceof KeyringFault) return new StartupError(faultLine(error, join(dirname(path), error.file)));
    const code = errnoOf(error);
    return code === 'unknown' ? error : new StartupError(`${path} cannot be written (${code}).`);
  }
}

const unavailable = (): DomainError =>
  new DomainError('kms_unavailable', { detail: 'The master key cannot be reached.' });

function present(found: Keyring | undefined): Keyring {
  if (found === undefined) throw new KeyringFault('unreadable', 'ENOENT');
  return found;
}

function faultLine({ kind, code }: KeyringFault, path: string): string {
  switch (kind) {
    case 'wrong_root_key':
      return `COFFER_ROOT_KEY does not open ${path}: set the root key that it was sealed with.`;
    case 'damaged':
      return `${path} is damaged and was left as it is: restore it from a backup.`;
    case 'newer_format':
      return `${path} was written by a newer version of Coffer: start that one.`;
    case 'copy':
      return `${path} is a copy of another generation under the name of the next one: move it out of the folder.`;
    case 'unreadable':
      return `${path} cannot be read (${code ?? 'unknown'}).`;
  }
}
