import { Logger } from '@nestjs/common';
import { DomainError, StartRefused } from '../../../kernel';
import {
  type Collection,
  type Draft,
  newestPlace,
  readUserKeyPins,
  type Store,
  type UserKeyPins,
  type UserKeyPlace,
} from '../../../store';
import { accepted, type ItemResult, type MasterKey } from '../../master';
import { isInVault } from '../user-key-form';
import { UserKeyHome, type VaultPlace } from '../user-key-home';
import { type UserKeyDoc, userKeysCollection } from '../user-keys.collection';
import type { OwnerNames } from './owner-names';
import { UserKeyMover } from './user-key-mover';

const NEEDS = 'set VAULT_ADDR and VAULT_ROLE_ID with VAULT_SECRET_ID (or VAULT_TOKEN)';

/**
 * The wraps of an installation's user keys, wherever each row says that its own are, whatever USER_KEY_STORE says; those of new owners go
 * where the installation document says. So a move changes nothing for a process that can reach Vault, and one that cannot refuses with
 * `kms_unavailable` what lies there: it never takes a key for missing.
 */
export class UserKeyHomes extends UserKeyHome {
  readonly #logger = new Logger('UserKeys');
  readonly #rows: Collection<UserKeyDoc>;
  readonly #mover: UserKeyMover | undefined;
  #installationId: string | undefined;
  #opening: Promise<VaultPlace> | undefined;
  #known: UserKeyPins | undefined;
  #told = '';

  /** `vault`: undefined where this process is not set up for it. */
  constructor(
    private readonly store: Store,
    private readonly vault: VaultPlace | undefined,
    names: OwnerNames,
    masterKey: MasterKey,
  ) {
    super();
    this.#rows = store.collection(userKeysCollection);
    this.#mover = vault && new UserKeyMover(this.#rows, vault, names, masterKey, () => this.place());
  }

  get reachesVault(): boolean {
    return this.vault !== undefined;
  }

  async open(installationId: string): Promise<void> {
    this.#installationId = installationId;
    if (usesVault(await this.#pins())) await this.#opened();
  }

  /** What a move needs, in either direction. @throws StartRefused, DomainError `kms_unavailable`. */
  async prepareMove(): Promise<void> {
    await (await this.#opened()).ping();
  }

  /** One row, as `UserKeyMover.move` does it. */
  async move(row: UserKeyDoc, to: UserKeyPlace): Promise<boolean> {
    await this.#serving();
    return this.#moving().move(row, to);
  }

  due(to: UserKeyPlace, onForged: (id: string) => void): AsyncGenerator<UserKeyDoc> {
    return this.#moving().due(to, onForged);
  }

  async ping(): Promise<void> {
    // By what was heard last: asking the store here would report a store that hangs as a fault of the key service.
    if (usesVault(this.#known)) await (await this.#serving()).ping();
  }

  async place(): Promise<UserKeyPlace> {
    return newestPlace(await this.#pins());
  }

  async settled(row: UserKeyDoc): Promise<boolean> {
    const place = await this.place();
    if (row.moving === undefined && isInVault(row) === (place === 'vault')) return true;
    await this.move(row, place);
    return false;
  }

  async load(rows: readonly UserKeyDoc[]): Promise<ItemResult<UserKeyDoc>[]> {
    const elsewhere = rows.filter(isInVault);
    if (elsewhere.length === 0) return rows.map(accepted);
    const loaded = (await (await this.#serving()).load(elsewhere)).values();
    return rows.map((row) => (isInVault(row) ? required(loaded.next().value) : accepted(row)));
  }

  async keep(row: Draft<UserKeyDoc>, isNew = false): Promise<void> {
    if (isInVault(row)) await (await this.#serving()).keep(row, isNew);
  }

  async strays(row: UserKeyDoc): Promise<readonly string[]> {
    return row.name === undefined ? [] : (await this.#serving()).strays(row);
  }

  async forget(row: Draft<UserKeyDoc>, keyIds: readonly string[]): Promise<void> {
    if (row.name !== undefined) await (await this.#serving()).forget(row, keyIds);
  }

  async erase(name: string, ownerId: string, isMeant?: () => Promise<boolean>): Promise<void> {
    await (await this.#serving()).erase(name, ownerId, isMeant);
  }

  async #pins(): Promise<UserKeyPins> {
    this.#known = await readUserKeyPins(this.store);
    return this.#known;
  }

  #moving(): UserKeyMover {
    if (this.#mover === undefined) throw unreachable();
    return this.#mover;
  }

  /** Opened when it is first needed, and bound to the installation: a move may begin long after the start. Tried anew after a failure. */
  #opened(): Promise<VaultPlace> {
    let opening = this.#opening;
    if (opening === undefined) {
      opening = this.#opening = this.#open();
      opening.catch(() => (this.#opening = undefined));
    }
    return opening;
  }

  async #open(): Promise<VaultPlace> {
    if (this.vault === undefined) throw new StartRefused(`User keys of this installation lie in Vault: ${NEEDS}.`);
    if (this.#installationId === undefined)
      throw new DomainError('kms_unavailable', { detail: 'The service is starting.' });
    await this.vault.open(this.#installationId);
    return this.vault;
  }

  /** As `#opened`, for a process that serves already: what the operator has to mend is an outage. */
  async #serving(): Promise<VaultPlace> {
    try {
      return await this.#opened();
    } catch (error) {
      if (!(error instanceof StartRefused)) throw error;
      if (this.#told !== error.message) this.#logger.error(error.message);
      this.#told = error.message;
      throw unreachable();
    }
  }
}

const usesVault = (pins: UserKeyPins | undefined): boolean => pins?.home === 'vault' || pins?.to === 'vault';

const unreachable = (): DomainError =>
  new DomainError('kms_unavailable', { detail: 'Vault, where user keys lie, cannot be opened.' });

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('a home answered too few rows');
  return value;
}
