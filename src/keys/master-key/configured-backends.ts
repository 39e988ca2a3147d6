import { Logger } from '@nestjs/common';
import { DomainError, StartupError } from '../../kernel';
import type { MasterKey } from './master-key';
import type { BackendName } from './version-ranges';

/**
 * The backends that the environment of this process configures, each opened when it is first
 * needed.
 */
export class ConfiguredBackends {
  readonly #logger = new Logger('MasterKey');
  readonly #opened = new Map<BackendName, { readonly home: Promise<MasterKey>; readonly create: boolean }>();
  #told = '';
  #installationId: string | undefined;

  /** The first one is that of MASTER_KEY. */
  constructor(private readonly homes: readonly [MasterKey, ...MasterKey[]]) {}

  get first(): BackendName {
    return this.homes[0].home;
  }

  has(name: BackendName): boolean {
    return this.homes.some(({ home }) => home === name);
  }

  /** Whose key the backends have to hold, said before any is opened. */
  bindTo(installationId: string): void {
    this.#installationId = installationId;
  }

  /**
   * Single-flight, and tried anew after a failure.
   * @throws StartupError, DomainError `kms_unavailable`.
   */
  open(name: BackendName, create = false): Promise<MasterKey> {
    const present = this.#opened.get(name);
    if (present === undefined) return this.#begin(name, create);
    // Who may make what is not there does not fail with a caller who may not.
    return present.create || !create ? present.home : present.home.catch(() => this.open(name, create));
  }

  /**
   * As `open`, for a process that serves already: a backend that cannot be opened is an outage of
   * it.
   * @throws DomainError `kms_unavailable`.
   */
  async serving(name: BackendName, create = false): Promise<MasterKey> {
    try {
      return await this.open(name, create);
    } catch (error) {
      if (!(error instanceof StartupError)) throw error;
      if (this.#told !== error.message) this.#logger.error(`keys need the home ${name}: ${error.message}`);
      this.#told = error.message;
      throw new DomainError('kms_unavailable', { detail: 'A backend of the master key cannot be opened.' });
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.homes.map((home) => home.close()));
  }

  #begin(name: BackendName, create: boolean): Promise<MasterKey> {
    const opening = { home: this.#open(name, create), create };
    this.#opened.set(name, opening);
    opening.home.catch(() => {
      if (this.#opened.get(name) === opening) this.#opened.delete(name);
    });
    return opening.home;
  }

  async #open(name: BackendName, create: boolean): Promise<MasterKey> {
    const found = this.homes.find(({ home }) => home === name);
    if (found === undefined) throw new StartupError(`MASTER_KEY ${name} is not configured: ${NEEDS[name]}.`);
    await found.open({ create, ...(this.#installationId !== undefined && { installationId: this.#installationId }) });
    return found;
  }
}

const NEEDS: Readonly<Record<BackendName, string>> = {
  transit: 'set VAULT_ADDR and VAULT_ROLE_ID with VAULT_SECRET_ID (or VAULT_TOKEN)',
  kv: 'set VAULT_ADDR and VAULT_ROLE_ID with VAULT_SECRET_ID (or VAULT_TOKEN)',
  local: 'set COFFER_ROOT_KEY',
};
