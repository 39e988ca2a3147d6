import { Injectable } from '@nestjs/common';
import { newKey, sealRecord } from '../../crypto';
import { Clock, DomainError, failpoint, plaintext, SecretBytes } from '../../kernel';
import { type Collection, DuplicateKey, Store, update } from '../../store';
import { MasterKey, MasterKeyRow } from '../master';
import { KeyCache } from './key-cache';
import { nameKeyPlace, subkeyOf } from './opened-user-key';
import { UserKeys } from './sealer';
import { rewrapVersions, wrapFirst } from './user-key-wraps';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';

const FIRST_VERSION = 1;

/** User keys in the store, each wrapped by the master key. */
@Injectable()
export class StoredUserKeys extends UserKeys {
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly masterKey: MasterKey,
    private readonly masterRow: MasterKeyRow,
    private readonly cache: KeyCache,
    private readonly clock: Clock,
  ) {
    super();
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * Whoever finds a pending row, be it of a dead process or of one that works on it at the same time, goes on with it: what makes it active is
   * one compare-and-set, and it does not matter whose. @throws DomainError `not_found` for an owner who was erased.
   */
  async create(ownerId: string): Promise<void> {
    for (;;) {
      const row = (await this.#rows.find('_id', ownerId)) ?? (await this.#insertPending(ownerId));
      if (row?.state === 'active') return;
      if (row?.state === 'erased') throw new DomainError('not_found');
      if (row !== undefined && (await this.#settle(row))) return;
    }
  }

  async destroy(ownerId: string): Promise<void> {
    const row = await update(this.#rows, ownerId, (found) => (found.state === 'erased' ? undefined : erased(found)));
    // Without a row too the owner gets a tombstone: a registration that is still under way finds it and stores no key.
    if (row === undefined && !(await this.#bury(ownerId))) return this.destroy(ownerId);
    failpoint('user-key.erased');
    this.cache.drop(ownerId);
  }

  async #bury(ownerId: string): Promise<boolean> {
    const none = { versions: [], wrapped_name_key: '', quarantined: false };
    const tombstone = { _id: ownerId, state: 'erased', current: FIRST_VERSION, epoch: 1, master_epoch: 0 } as const;
    try {
      await this.#rows.insert({ ...tombstone, ...none, created_at: this.clock.now() });
      return true;
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      return false;
    }
  }

  /** Steps 1 to 3 of the wrap protocol. Undefined where another one was quicker. */
  async #insertPending(ownerId: string): Promise<UserKeyDoc | undefined> {
    const { current, epoch } = await this.masterRow.read();
    const key = newKey();
    try {
      const now = this.clock.now();
      const version = await wrapFirst(this.masterKey, current, ownerId, key, now);
      failpoint('user-key.wrapped');
      const row = await this.#rows.insert({
        _id: ownerId,
        state: 'pending',
        current: FIRST_VERSION,
        epoch: 1,
        versions: [version],
        master_version: version.master_version,
        master_epoch: epoch,
        wrapped_name_key: newNameKey(ownerId, key),
        created_at: now,
        quarantined: false,
      });
      failpoint('user-key.pending-stored');
      return row;
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      return undefined;
    } finally {
      key.destroy();
    }
  }

  /** Steps 4 to 6: active if the master key's epoch is still the one of the wrap, else wrapped again and to be looked at once more. */
  async #settle(row: UserKeyDoc): Promise<boolean> {
    const { current, epoch } = await this.masterRow.read();
    if (row.master_epoch === epoch) {
      failpoint('user-key.before-active');
      return (await this.#rows.replace({ ...row, state: 'active' })) !== undefined;
    }
    const [again] = await rewrapVersions(this.masterKey, current, [row]);
    if (again?.ok !== true) return this.#discard(row);
    await this.#rows.replace({ ...again.value, master_epoch: epoch });
    failpoint('user-key.wrapped-again');
    return false;
  }

  /** A pending row whose wrap no longer opens, since its version was retired while its writer was dead. Nothing is sealed under it. */
  async #discard(row: UserKeyDoc): Promise<false> {
    await this.#rows.remove(row._id, row.rev);
    return false;
  }
}

function newNameKey(ownerId: string, key: SecretBytes): string {
  const secrets = subkeyOf(key, 'secrets', ownerId, FIRST_VERSION);
  const nameKey = newKey();
  try {
    return sealRecord(secrets, FIRST_VERSION, nameKeyPlace(ownerId), plaintext(nameKey.bytes)).toString('hex');
  } finally {
    nameKey.destroy();
    secrets.destroy();
  }
}

/** A tombstone without keys. It stays: an owner's id must never get a key again. */
function erased(row: UserKeyDoc): UserKeyDoc {
  const { master_version: _, quarantine: __, quarantine_target: ___, ...rest } = row;
  return { ...rest, state: 'erased', epoch: row.epoch + 1, versions: [], wrapped_name_key: '', quarantined: false };
}
