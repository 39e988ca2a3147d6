import { Inject, Injectable, Logger } from '@nestjs/common';
import { RelocatableBlobStore } from '../blobs/relocation';
import { CONFIG, Config } from '../config';
import { PASSWORD_COSTS, pepperCheck } from '../crypto';
import { Lifecycle } from '../http';
import { Clock, DomainError, failpoint, isDomainError, outageReason, SECOND } from '../kernel';
import { BACKEND_NAMES, MasterKeyRow, RoutedMasterKey } from '../keys/master-key';
import { openKeys, SystemKeys } from '../keys/system-keys';
import { WrapStore } from '../keys/user-keys';
import {
  admitPeppers,
  completeInstallation,
  InstallationDoc,
  InstallationPlacements,
  MASTER_KEY,
  noteInstalled,
  openInstallation,
  PepperChecks,
} from '../installation';
import { Store } from '../store';
import { usersCollection } from '../users';

const FIRST_PAUSE = SECOND / 2;
const LONGEST_PAUSE = 5 * SECOND;

export interface StartOptions {
  /**
   * For the commands that mend what a start refuses: neither PEPPER nor the blob stores are looked
   * at.
   */
  readonly repair?: boolean;
}

/** What `openKeys` works on. */
@Injectable()
export class OpenedKeys {
  constructor(
    readonly masterKey: RoutedMasterKey,
    readonly systemKeys: SystemKeys,
    readonly row: MasterKeyRow,
    readonly userKeys: WrapStore,
  ) {}
}

/**
 * Opens the installation: what fits together is checked before any key is, and nothing is made
 * beside what is there already. Each step may be repeated, so a store or Vault that is down at the
 * start only delays it: /readyz says 503 meanwhile, and so does every request.
 */
@Injectable()
export class Startup {
  readonly #logger = new Logger('startup');
  #installationId: string | undefined;
  #pepperChecks: PepperChecks | undefined;
  #waitsFor = 'what does not answer';

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly store: Store,
    private readonly keys: OpenedKeys,
    private readonly lifecycle: Lifecycle,
    private readonly clock: Clock,
    private readonly blobs: RelocatableBlobStore,
  ) {}

  /**
   * True when all is open; false where something does not answer now.
   * @throws StartupError where it must not start at all.
   */
  async attempt(options: StartOptions = {}): Promise<boolean> {
    try {
      await this.#open(options);
      this.lifecycle.started();
      return true;
    } catch (error) {
      if (!isDomainError(error, 'store_unavailable', 'kms_unavailable', 'storage_full')) throw error;
      this.lifecycle.waitsFor(new DomainError(error.code, { detail: error.detail ?? 'The service is starting.' }));
      this.#waitsFor = this.#waitedFor(error);
      this.#logger.warn({ code: error.code, msg: `the start waits for ${this.#waitsFor}` });
      return false;
    }
  }

  /** Repeats `attempt` until it succeeds or the service stops. @throws StartupError */
  async keepTrying(): Promise<void> {
    for (let pause = FIRST_PAUSE; !this.lifecycle.stopping; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      if (await this.attempt()) return;
      await new Promise((resolve) => setTimeout(resolve, pause).unref());
    }
  }

  /** What the last attempt met, and why. Holds no secret. */
  get waitsFor(): string {
    return this.#waitsFor;
  }

  #waitedFor(error: DomainError): string {
    const { masterKey, userKeys } = this.config;
    const keys = masterKey.home === 'local' && userKeys.store === 'store' ? 'the keyring' : 'Vault (VAULT_ADDR)';
    const part = { kms_unavailable: keys, storage_full: 'room on the disk' }[error.code as string] ?? 'the store';
    return `${part}: ${whyOf(error)}`;
  }

  /** By the document, once its seal has been checked. */
  get installationId(): string {
    if (this.#installationId === undefined) throw new DomainError('store_unavailable');
    return this.#installationId;
  }

  /**
   * Of the peppers of this process. A start that is tried again does not make them again: each
   * costs a password's hash.
   */
  async pepperChecks(): Promise<PepperChecks> {
    return (this.#pepperChecks ??= await this.#checkPeppers());
  }

  async #checkPeppers(): Promise<PepperChecks> {
    const { pepper, previousPepper, cost } = this.config.passwords;
    const check = (of: string): Promise<string> => pepperCheck(of, this.installationId, PASSWORD_COSTS[cost]);
    return {
      current: await check(pepper),
      previous: previousPepper === undefined ? undefined : await check(previousPepper),
    };
  }

  async #open({ repair = false }: StartOptions): Promise<void> {
    const { store, masterKey, userKeys, blobs } = this.config;
    const kinds = { masterKey: masterKey.home, userKeys: userKeys.store, blobs: blobs.store };
    const pins: InstallationPlacements = { store: store.engine, ...kinds };
    const { dataDir } = this.config;
    const remains = {
      hasSystemKeys: () => this.keys.systemKeys.areStored(),
      hasUsers: async () => (await this.store.collection(usersCollection).count('_id', [], 1)) > 0,
    };
    const found = await openInstallation(this.store, { pins, dataDir, clock: this.clock, remains });
    this.#followHomes(found);
    await openKeys(this.keys, found.state === 'opening');
    // Before the document is sealed: from then on a blob store without its marks is one that lost
    // its blobs.
    const location = found.state === 'opening' ? await this.blobs.claim(pins.blobs, found.installation_id) : undefined;
    failpoint('start.blobs-claimed');
    const { systemKeys } = this.keys;
    const opened = { installationId: found.installation_id, wasReady: systemKeys.wasReady, clock: this.clock };
    const installed = await completeInstallation(this.store, pins, { ...opened, location });
    await systemKeys.endFirstStart();
    await noteInstalled(dataDir, installed);
    await this.keys.userKeys.open(installed.installation_id);
    this.#installationId = installed.installation_id;
    if (!repair) {
      await admitPeppers(this.store, await this.pepperChecks());
      await this.blobs.open(installed.installation_id);
    }
    await this.store.prepare();
    if (installed.blobs !== pins.blobs)
      this.#logger.warn({ home: installed.blobs, msg: 'blobs have another home than BLOB_STORE says' });
  }

  /**
   * Where the master key is stands in a sealed row: until the key of the seals is open, in the
   * installation document, whose seal is checked then.
   */
  #followHomes(found: InstallationDoc): void {
    const { masterKey, systemKeys, row } = this.keys;
    const admitted = BACKEND_NAMES.filter((home) => MASTER_KEY.admitted(found).includes(home));
    masterKey.bindTo(found.installation_id);
    masterKey.follow(admitted, async () => (systemKeys.openSeals ? row.find() : undefined));
  }
}

/** In words of ours; of an error that has none only what the system calls it. */
const whyOf = ({ reason, detail, cause }: DomainError): string =>
  reason ?? outageReason(cause) ?? detail ?? 'it does not answer';
