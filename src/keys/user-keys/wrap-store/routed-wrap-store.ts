import { Logger } from '@nestjs/common';
import { newestLocation, type Placement, readPlacement, type WrapLocation, WRAPS } from '../../../installation';
import { DomainError, StartupError } from '../../../kernel';
import type { Collection, Draft, Store } from '../../../store';
import { accepted, type ItemResult, type MasterKey } from '../../master-key';
import { isInVault, type UserKeyDoc, userKeysCollection } from '../user-keys.collection';
import { UserKeyMover } from './wrap-relocation';
import { type MovableWrapStore, type OwnerNames, WrapStore } from './wrap-store';

const NEEDS = 'set VAULT_ADDR and VAULT_ROLE_ID with VAULT_SECRET_ID (or VAULT_TOKEN)';

/**
 * The wraps of an installation's user keys, wherever each row says that its own are, whatever
 * USER_KEY_STORE says; those of new owners go where the installation document says. So a move
 * changes nothing for a process that can reach Vault, and one that cannot refuses with
 * `kms_unavailable` what is stored there: it never takes a key for missing.
 */
export class RoutedWrapStore extends WrapStore {
  readonly #logger = new Logger('UserKeys');
  readonly #rows: Collection<UserKeyDoc>;
  readonly #mover: UserKeyMover | undefined;
  #installationId: string | undefined;
  #opening: Promise<MovableWrapStore> | undefined;
  #known: Placement<WrapLocation> | undefined;
  #told = '';

  /** `vault`: undefined where this process is not set up for it. */
  constructor(
    private readonly store: Store,
    private readonly vault: MovableWrapStore | undefined,
    names: OwnerNames,
    masterKey: MasterKey,
  ) {
    super();
    this.#rows = store.collection(userKeysCollection);
    this.#mover = vault && new UserKeyMover(this.#rows, vault, names, masterKey, () => this.location());
  }

  get reachesVault(): boolean {
    return this.vault !== undefined;
  }

  async open(installationId: string): Promise<void> {
    this.#installationId = installationId;
    if (usesVault(await this.#placement())) await this.#opened();
  }

  /**
   * What a move needs, in either direction.
   * @throws StartupError, DomainError `kms_unavailable`.
   */
  async prepareMove(): Promise<void> {
    await (await this.#opened()).ping();
  }

  /** One row, as `UserKeyMover.move` does it. */
  async move(row: UserKeyDoc, to: WrapLocation): Promise<boolean> {
    await this.#serving();
    return this.#moving().move(row, to);
  }

  due(to: WrapLocation, onTampered: (id: string) => void): AsyncGenerator<UserKeyDoc> {
    return this.#moving().due(to, onTampered);
  }

  async ping(): Promise<void> {
    // By what was heard last: asking the store here would report a store that hangs as a fault of
    // the key service.
    if (usesVault(this.#known)) await (await this.#serving()).ping();
  }

  async location(): Promise<WrapLocation> {
    return newestLocation(await this.#placement());
  }

  async isSettled(row: UserKeyDoc): Promise<boolean> {
    const place = await this.location();
    if (row.moving === undefined && isInVault(row) === (place === 'vault')) return true;
    await this.move(row, place);
    return false;
  }

  async get(rows: readonly UserKeyDoc[]): Promise<ItemResult<UserKeyDoc>[]> {
    const elsewhere = rows.filter(isInVault);
    if (elsewhere.length === 0) return rows.map(accepted);
    const loaded = (await (await this.#serving()).get(elsewhere)).values();
    return rows.map((row) => (isInVault(row) ? required(loaded.next().value) : accepted(row)));
  }

  async put(row: Draft<UserKeyDoc>, isNew = false): Promise<void> {
    if (isInVault(row)) await (await this.#serving()).put(row, isNew);
  }

  async orphans(row: UserKeyDoc): Promise<readonly string[]> {
    return row.name === undefined ? [] : (await this.#serving()).orphans(row);
  }

  async delete(row: Draft<UserKeyDoc>, keyIds: readonly string[]): Promise<void> {
    if (row.name !== undefined) await (await this.#serving()).delete(row, keyIds);
  }

  async erase(name: string, ownerId: string, isMeant?: () => Promise<boolean>): Promise<void> {
    await (await this.#serving()).erase(name, ownerId, isMeant);
  }

  async #placement(): Promise<Placement<WrapLocation>> {
    this.#known = await readPlacement(this.store, WRAPS);
    return this.#known;
  }

  #moving(): UserKeyMover {
    if (this.#mover === undefined) throw unreachable();
    return this.#mover;
  }

  /**
   * Opened when it is first needed, and bound to the installation: a move may begin long after the
   * start. Tried anew after a failure.
   */
  #opened(): Promise<MovableWrapStore> {
    let opening = this.#opening;
    if (opening === undefined) {
      opening = this.#opening = this.#open();
      opening.catch(() => (this.#opening = undefined));
    }
    return opening;
  }

  async #open(): Promise<MovableWrapStore> {
    if (this.vault === undefined) throw new StartupError(`User keys of this installation lie in Vault: ${NEEDS}.`);
    if (this.#installationId === undefined)
      throw new DomainError('kms_unavailable', { detail: 'The service is starting.' });
    await this.vault.open(this.#installationId);
    return this.vault;
  }

  /**
   * As `#opened`, for a process that serves already: what the operator has to mend is an outage.
   */
  async #serving(): Promise<MovableWrapStore> {
    try {
      return await this.#opened();
    } catch (error) {
      if (!(error instanceof StartupError)) throw error;
      if (this.#told !== error.message) this.#logger.error(error.message);
      this.#told = error.message;
      throw unreachable();
    }
  }
}

const usesVault = (placement: Placement<WrapLocation> | undefined): boolean =>
  placement?.current === 'vault' || placement?.target === 'vault';

const unreachable = (): DomainError =>
  new DomainError('kms_unavailable', { detail: 'Vault, which stores the user keys, cannot be opened.' });

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('the wrap store returned too few rows');
  return value;
}
