import { Logger } from '@nestjs/common';
import type { MasterKeyConfig } from '../../../config';
import { StartupError } from '../../../kernel';
import { unavailable, type VaultReply, type VaultSession } from '../../../vault-client';
import type { MasterKeyState } from '../master-key';

export type TransitConfig = Extract<MasterKeyConfig, { home: 'transit' }>;

const TYPE = 'aes256-gcm96';
/** Writes of the minimum, each of them read back. */
const RAISES = 3;

/** The named key of the Transit engine: makes it, describes it, rotates it. */
export class TransitKey {
  readonly #logger = new Logger('TransitKey');
  readonly path: string;

  constructor(
    private readonly session: VaultSession,
    private readonly config: TransitConfig,
  ) {
    this.path = `${config.transitMount}/keys/${config.keyName}`;
  }

  /** @throws StartupError */
  async ensure(create: boolean): Promise<void> {
    const found = await this.#read();
    if (found.status === 403) throw new StartupError(`Vault's policy does not let Coffer read ${this.path}.`);
    const key = found.status === 404 ? await this.#make(create) : found;
    const { type, derived } = keyData(key);
    if (type !== TYPE || derived !== true) {
      throw new StartupError(`The Vault key ${this.path} must be of type ${TYPE} with derived=true.`);
    }
    this.#tell(keyData(key));
  }

  /**
   * What an operator has set that weakens what Transit is for, one line each. None of it makes data
   * unreadable by itself: none is refused.
   */
  #tell(key: KeyData): void {
    if (key.exportable === true)
      this.#logger.error(`${this.path}: exportable is set, for good: the key can leave Vault`);
    if (key.allow_plaintext_backup === true)
      this.#logger.error(`${this.path}: allow_plaintext_backup is set, for good: the key can leave Vault in a backup`);
    if (key.deletion_allowed === true)
      this.#logger.warn(`${this.path}: deletion_allowed is set: one call ends all data, set it to false`);
    if (rotatesByItself(key.auto_rotate_period))
      this.#logger.warn(
        `${this.path}: auto_rotate_period is set: use KEY_ROTATION_DAYS, which wraps keys again as well`,
      );
  }

  /**
   * Derived keys list their versions with the second in which each was made. Versions below
   * min_decryption_version are not listed.
   */
  async state(): Promise<MasterKeyState> {
    const described = keyData(await this.#served(this.#read()));
    const { latest_version: current, keys, min_available_version: trimmed } = described;
    if (typeof current !== 'number' || typeof keys !== 'object' || keys === null)
      throw unavailable('unexpected answer');
    const versions = Object.entries(keys).map(([version, made]) => ({
      version: Number(version),
      createdAt: typeof made === 'number' ? made * 1000 : 0,
    }));
    versions.sort((a, b) => a.version - b.version);
    // Only what was trimmed is gone: min_decryption_version can be lowered again.
    return { current, versions, destroyedBelow: typeof trimmed === 'number' ? trimmed : 0 };
  }

  /**
   * Looks at why Vault wrapped nothing with a version of ours. A version that it does not have (a
   * Vault set back), or that its minimum is above, refuses every item: that is an outage, not a
   * fault of the items.
   * @throws DomainError `kms_unavailable`
   */
  async mustWrapWith(version: number): Promise<void> {
    const { keys, min_encryption_version: least } = keyData(await this.#served(this.#read()));
    if (typeof keys !== 'object' || keys === null || !(String(version) in keys)) {
      throw unavailable(`no version ${version} in Vault`);
    }
    if (typeof least !== 'number' || least <= version) return;
    const reason =
      `${this.path}: min_encryption_version is ${least}, above version ${version}, which Coffer wraps with: ` +
      'POST /keys/rotate adopts the newest version, or set it to 0';
    this.#logger.error(reason);
    throw unavailable(reason);
  }

  /** The newest version then, where the answer says it: older releases answer without a body. */
  async rotate(): Promise<number | undefined> {
    const reply = await this.#served(this.session.request({ method: 'POST', path: `${this.path}/rotate` }));
    const { latest_version: latest } = keyData(reply);
    return typeof latest === 'number' ? latest : undefined;
  }

  /**
   * Disables all versions before `version`, and reads back whether they are. A minimum that is
   * higher already stays: what was ended is not opened again here. Vault has no conditional write
   * for it, so a process that slept may still set it back later (`keepEnded`).
   */
  async raiseMinimum(version: number): Promise<void> {
    for (let attempt = 0; attempt < RAISES; attempt += 1) {
      const { min_decryption_version: minimum } = keyData(await this.#served(this.#read()));
      if (typeof minimum === 'number' && minimum >= version) return;
      const body = { min_decryption_version: version };
      await this.#served(this.session.request({ method: 'POST', path: `${this.path}/config`, body }));
    }
    throw unavailable('min_decryption_version does not stay raised');
  }

  /**
   * Destroys all versions before `version`, if they are disabled already. Vault wants the minimum
   * for encryption to be as high.
   */
  async trimBelow(version: number): Promise<void> {
    const { min_decryption_version: minimum, min_encryption_version: least } = keyData(await this.#permitted('GET'));
    if (typeof minimum !== 'number' || minimum < version) {
      throw new StartupError(`Version ${version - 1} is not retired: POST /keys/versions/${version - 1}/retire first.`);
    }
    const isPinned = typeof least === 'number' && least >= minimum;
    if (!isPinned) await this.#permitted('POST', '/config', { min_encryption_version: minimum });
    await this.#permitted('POST', '/trim', { min_available_version: version });
  }

  /** A call with the operator's own token: what Vault refuses is for the operator to look at. */
  async #permitted(method: 'GET' | 'POST', below = '', body?: Readonly<Record<string, number>>): Promise<VaultReply> {
    const path = `${this.path}${below}`;
    const reply = await this.session.request(body === undefined ? { method, path } : { method, path, body });
    if (reply.status === 200 || reply.status === 204) return reply;
    throw new StartupError(`Vault refuses this token at ${path} (status ${reply.status}).`);
  }

  #read(): Promise<VaultReply> {
    return this.session.request({ method: 'GET', path: this.path });
  }

  async #make(create: boolean): Promise<VaultReply> {
    if (!create)
      throw new StartupError(`The Vault key ${this.path} is missing: restore the Vault of this installation.`);
    const made = await this.session.request({ method: 'POST', path: this.path, body: { type: TYPE, derived: true } });
    if (made.status !== 200) {
      throw new StartupError(
        made.status === 404
          ? `Vault has no Transit engine at ${this.config.transitMount}.`
          : `The Vault key ${this.path} is absent and the policy does not let Coffer make it (type ${TYPE}, derived=true).`,
      );
    }
    return this.#read();
  }

  async #served(request: Promise<VaultReply>): Promise<VaultReply> {
    const reply = await request;
    if (reply.status !== 200 && reply.status !== 204) throw unavailable(`status ${reply.status}`);
    return reply;
  }
}

/** Seconds as a number, or a duration as `0s`. */
const rotatesByItself = (period: unknown): boolean =>
  (typeof period === 'number' && period > 0) || (typeof period === 'string' && /[1-9]/.test(period));

interface KeyData {
  readonly type?: unknown;
  readonly derived?: unknown;
  readonly exportable?: unknown;
  readonly allow_plaintext_backup?: unknown;
  readonly deletion_allowed?: unknown;
  readonly auto_rotate_period?: unknown;
  readonly latest_version?: unknown;
  readonly keys?: unknown;
  readonly min_decryption_version?: unknown;
  readonly min_encryption_version?: unknown;
  readonly min_available_version?: unknown;
}

const keyData = (reply: VaultReply): KeyData =>
  typeof reply.body.data === 'object' && reply.body.data !== null ? reply.body.data : {};
