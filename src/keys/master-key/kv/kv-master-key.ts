import { Logger } from '@nestjs/common';
import type { MasterKeyConfig } from '../../../config';
import { failpoint, SecretBytes, StartupError } from '../../../kernel';
import {
  asOneOperation,
  ENOUGH_VERSIONS,
  inAttempts,
  KvDocuments,
  openVault,
  tellKvSettings,
  unavailable,
  VaultForbidden,
  VaultNoEngine,
  type VaultSession,
} from '../../../vault-client';
import { checkRetirable, type MasterKeyState, type OpenOptions } from '../master-key';
import { DATA_MASTER_KEY, type MasterKeyInstance } from '../master-key-instance';
import { type KeyLookup, type KeyUse, SoftwareMasterKey } from '../software-master-key';
import {
  destroyedBefore,
  holdsDropped,
  isKeptIn,
  keysOf,
  lowestVersion,
  type MasterDocument,
  parseMasterDocument,
  withNewVersion,
  withoutVersions,
} from './master-document';

export type KvConfig = Extract<MasterKeyConfig, { home: 'kv' }>;

export interface KvOptions {
  /** How long a copy of the key is used without asking Vault; 0 asks each time. */
  readonly maxAgeMs: number;
}

/** Each of them is lost only where another process wrote the document in between. */
const WRITE_ATTEMPTS = 5;
const UNREADABLE =
  'is not a document of Coffer and was left as it is: restore it from a Vault snapshot or an earlier version.';

/**
 * The master key as a document of Vault's KV engine, version 2: all live versions in
 * `kv/master_key`. Unlike with Transit the key is in the memory of each process, for `maxAgeMs` at
 * most. Written by check-and-set alone.
 */
export class KvMasterKey extends SoftwareMasterKey {
  readonly #logger = new Logger('KvMasterKey');
  readonly #documents: KvDocuments;
  readonly #path: string;
  readonly #held: SoftwareKeys;
  #flight: Promise<MasterDocument> | undefined;

  constructor(
    private readonly config: KvConfig,
    private readonly options: KvOptions,
    private readonly session: VaultSession = openVault(config),
    instance: MasterKeyInstance = DATA_MASTER_KEY,
  ) {
    super('kv');
    this.#path = instance.kvPath;
    this.#documents = new KvDocuments(session, config.kvMount);
    this.#held = new SoftwareKeys(options.maxAgeMs);
  }

  async open({ create = true, installationId }: OpenOptions = {}): Promise<void> {
    await this.session.open();
    try {
      await this.#ensure(create, installationId);
      if (installationId !== undefined) await this.#bind(installationId);
      await this.#warnOfFewVersions();
    } catch (error) {
      throw this.#startRefusal(error);
    }
    await tellKvSettings(this.session, this.#documents.mount, this.#path);
  }

  async state(): Promise<MasterKeyState> {
    const { versions, current, destroyed_below: destroyedBelow = 0 } = await this.#read();
    const listed = Object.entries(versions).map(([version, { created_at }]) => ({
      version: Number(version),
      createdAt: Date.parse(created_at),
    }));
    listed.sort((a, b) => a.version - b.version);
    return { current, versions: listed, destroyedBelow };
  }

  /**
   * Of processes that rotate at the same time one write holds; the others find its version and
   * adopt it.
   */
  rotate(expected: number): Promise<number> {
    return inAttempts(untilWritten, async () => {
      const { data, version } = await this.#documents.read(this.#path);
      const document = this.#served(data);
      if (document.current > expected) return document.current;
      const next = withNewVersion(document, Date.now(), expected);
      const written = await this.#documents.write(this.#path, { ...next }, version);
      failpoint('kv-master.rotated');
      return written === undefined ? undefined : next.current;
    });
  }

  /**
   * The document is written without them. Its earlier versions still hold them: the service's token
   * cannot destroy those, since whoever steals it could then destroy the master key. `trim` does,
   * with an operator's token.
   */
  async retire(version: number): Promise<void> {
    await inAttempts(untilWritten, async () => {
      const found = await this.#documents.read(this.#path);
      const document = this.#served(found.data);
      checkRetirable(version, document.current);
      this.#held.forget();
      const left = withoutVersions(document, version);
      // Written already, by an attempt whose answer came too late perhaps.
      if (lowestVersion(left) === lowestVersion(document)) return found.version;
      const at = await this.#documents.write(this.#path, { ...left }, found.version);
      failpoint('kv-master.dropped');
      return at;
    });
  }

  override async trim(version: number, operatorToken: string): Promise<void> {
    const session = openVault({ ...this.config, login: { token: operatorToken } });
    try {
      await session.open();
      const operator = new KvDocuments(session, this.#documents.mount);
      await untilWritten(() => this.#trimmed(version, operator));
    } finally {
      session.close();
    }
  }

  /**
   * Destroys every earlier version of the document; undefined where another process wrote the
   * document meanwhile.
   */
  async #trimmed(version: number, operator: KvDocuments): Promise<number | undefined> {
    const { data, version: at } = await this.#documents.read(this.#path);
    const document = this.#served(data);
    const lowest = lowestVersion(document);
    if (lowest <= version)
      throw new StartupError(`Version ${version} is not retired: POST /keys/versions/${version}/retire first.`);
    if (!holdsDropped(document)) return at;
    // They are stored in the same versions of the document, and the caller has counted up to
    // `version` alone.
    if (version < lowest - 1)
      throw new StartupError(
        `Versions up to ${lowest - 1} are retired and are destroyed together: trim ${lowest - 1}.`,
      );
    await this.#requireAllKept(document, at);
    await operator.destroyBefore(this.#path, at).catch((error: unknown) => {
      if (!(error instanceof VaultForbidden)) throw error;
      throw new StartupError(`Vault refuses this token at ${operator.mount}/destroy/${this.#path} (${error.reason}).`);
    });
    return this.#documents.write(this.#path, { ...destroyedBefore(document) }, at);
  }

  /**
   * What is destroyed must be dropped versions alone: somebody who overwrote the document must not
   * have it finished by an operator.
   */
  async #requireAllKept(document: MasterDocument, at: number): Promise<void> {
    for (let each = 1; each < at; each += 1) {
      const former = (await this.#documents.readVersion(this.#path, each)) ?? {};
      if (isKeptIn(document, parseMasterDocument(former))) continue;
      throw new StartupError(
        `Version ${each} of ${this.#place} holds a key that the current version lacks and that was not retired: nothing was destroyed.`,
      );
    }
  }

  close(): Promise<void> {
    this.#held.forget();
    this.session.close();
    return Promise.resolve();
  }

  protected keysFor(versions: readonly number[], use: KeyUse): Promise<KeyLookup> {
    return asOneOperation(() => this.#keysFor(versions, use));
  }

  async #keysFor(versions: readonly number[], use: KeyUse): Promise<KeyLookup> {
    const lacks = (): boolean => versions.some((version) => this.#held.get(version) === undefined);
    if (use === 'wrap' || this.options.maxAgeMs === 0 || lacks()) {
      const joined = this.#flight !== undefined;
      await this.#load();
      // A read that was running already may have begun before the version was made, or retired.
      if (joined && (use === 'wrap' || lacks())) await this.#load();
    }
    return (version) => this.#held.get(version);
  }

  /** Single-flight: one read for all who ask at the same time. */
  #load(): Promise<MasterDocument> {
    this.#flight ??= this.#read().finally(() => (this.#flight = undefined));
    return this.#flight;
  }

  async #read(): Promise<MasterDocument> {
    const document = this.#served((await this.#documents.read(this.#path)).data);
    this.#held.hold(keysOf(document));
    return document;
  }

  /** A document that is gone or damaged while the service runs is an outage of the key backend. */
  #served(data: Readonly<Record<string, unknown>> | undefined): MasterDocument {
    const document = data && parseMasterDocument(data);
    if (document !== undefined) return document;
    this.#logger.error(`${this.#place} ${data === undefined ? 'is gone' : 'is damaged'}`);
    throw unavailable('no master key document');
  }

  async #ensure(create: boolean, installationId?: string): Promise<void> {
    const { data, version } = await this.#documents.read(this.#path);
    if (data !== undefined) {
      this.#check(data);
      return;
    }
    if (version > 0) throw new StartupError(`${this.#place} in Vault was deleted: undelete it (bao kv undelete).`);
    if (!create) throw new StartupError(`${this.#place} in Vault is missing: restore the Vault of this installation.`);
    const made = withNewVersion(undefined, Date.now());
    await this.#documents.write(
      this.#path,
      installationId === undefined ? { ...made } : owned(made, installationId),
      0,
    );
    // Ours, or that of another process that was quicker.
    const found = await this.#documents.read(this.#path);
    this.#check(found.data ?? {});
  }

  /**
   * The document of an installation from before it said whose it is gets that at the next start.
   * @throws StartupError
   */
  async #bind(installationId: string): Promise<void> {
    const owner = await inAttempts(untilWritten, async () => {
      const { data, version } = await this.#documents.read(this.#path);
      const document = this.#served(data);
      if (document.installation_id !== undefined) return document.installation_id;
      const written = await this.#documents.write(this.#path, owned(document, installationId), version);
      return written === undefined ? undefined : installationId;
    });
    if (owner === installationId) return;
    throw new StartupError(
      `${this.#place} in Vault is the master key of another installation: start with the store that goes with it, or give this ` +
        'installation a KV mount of its own (VAULT_KV_MOUNT; docs/operations.md, "Whose keys they are").',
    );
  }

  /**
   * A process that steals the service's token pushes the key out by writing the document as often
   * as Vault keeps versions of it.
   */
  async #warnOfFewVersions(): Promise<void> {
    const kept = await this.#documents.keptVersions(this.#path);
    if (kept !== undefined && kept >= ENOUGH_VERSIONS) return;
    this.#logger.warn(
      `${this.#place}: ${kept === undefined ? 'the policy in Vault is of a former release' : 'Vault keeps few versions of it'}, so a ` +
        'stolen token of the service could destroy the master key: run deploy/vault/init.sh again (docs/threat-model.md)',
    );
  }

  #check(data: Readonly<Record<string, unknown>>): void {
    if (parseMasterDocument(data) === undefined) throw new StartupError(`${this.#place} in Vault ${UNREADABLE}`);
  }

  #startRefusal(error: unknown): unknown {
    const { mount } = this.#documents;
    if (error instanceof VaultForbidden)
      return new StartupError(`Vault's policy does not let Coffer read and write ${mount}/data/${this.#path}.`);
    if (error instanceof VaultNoEngine) return new StartupError(`Vault has no KV engine of version 2 at ${mount}.`);
    return error;
  }

  get #place(): string {
    return `${this.#documents.mount}/${this.#path}`;
  }
}

const owned = (document: MasterDocument, installationId: string): Readonly<Record<string, unknown>> => ({
  ...document,
  installation_id: installationId,
});

async function untilWritten<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let count = 0; count < WRITE_ATTEMPTS; count += 1) {
    const written = await attempt();
    if (written !== undefined) return written;
  }
  throw unavailable('check-and-set');
}

/**
 * The copy of the master key that this process works with: zeroed when its time is over, and when a
 * newer one takes its place.
 */
export class SoftwareKeys {
  #keys = new Map<number, SecretBytes>();
  #timer: NodeJS.Timeout | undefined;

  /** 0 keeps a copy for no longer than those who waited for it need to use it. */
  constructor(private readonly maxAgeMs: number) {}

  get(version: number): SecretBytes | undefined {
    return this.#keys.get(version);
  }

  hold(keys: Map<number, SecretBytes>): void {
    this.forget();
    this.#keys = keys;
    // With 0 the timer fires after those who wait for this very read have gone on, since they do so
    // before any timer.
    this.#timer = setTimeout(() => this.forget(), this.maxAgeMs);
    this.#timer.unref();
  }

  forget(): void {
    clearTimeout(this.#timer);
    for (const key of this.#keys.values()) key.destroy();
    this.#keys = new Map();
  }
}
