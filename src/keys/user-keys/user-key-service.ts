import { Injectable } from '@nestjs/common';
import { newKey, sealRecord } from '../../crypto';
import { Clock, DomainError, failpoint, plaintext, SecretBytes } from '../../kernel';
import { type Collection, type Draft, DuplicateKey, Store, update } from '../../store';
import { asOneOperation } from '../../vault-client';
import { MasterKey, MasterKeyRow } from '../master-key';
import { KeyCache } from './key-cache';
import { erased, giveUp, releaseStalePath } from './tombstones';
import { nameKeyContext, subkeyOf } from './user-key-handle';
import { storedRow, type UserKeyDoc, userKeysCollection, type UserKeyVersion } from './user-keys.collection';
import { WrapPathConflict, WrapStore } from './wrap-store/wrap-store';
import { rewrapStored, wrapFirst } from './wraps';

/** Creates and destroys user keys: a row each in the store, and the wraps in the wrap store. */
@Injectable()
export class UserKeyService {
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly masterKey: MasterKey,
    private readonly masterRow: MasterKeyRow,
    private readonly cache: KeyCache,
    private readonly clock: Clock,
    private readonly wraps: WrapStore,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * Makes a key and a name key for a new owner, by the wrap protocol. Safe to repeat: a pending row
   * of any process is finished here, and one compare-and-set makes it active. `name` is the user
   * name, which is the path of the wraps in Vault.
   * @throws DomainError `not_found` for an erased owner, `conflict` where the path is taken.
   */
  async create(ownerId: string, name: string): Promise<void> {
    for (;;) {
      const found = await this.#rows.find('_id', ownerId);
      // Stored again, so that whoever found this key without an account and is about to end it does
      // not (`OrphanedKeys`).
      if (found?.state === 'active' && (await this.#rows.replace(found)) !== undefined) return;
      if (found?.state === 'active') continue;
      if (found?.state === 'erased' && found.given_up !== true) throw new DomainError('not_found');
      const row = found?.state === 'pending' ? found : await this.#insertPending(ownerId, name, found);
      if (row?.state === 'pending' && (await this.#settle(row))) return;
    }
  }

  /**
   * Destroys the owner's key on every replica; safe to repeat. The row goes first, so nothing opens
   * from then on, even where the process dies before the wraps are gone.
   */
  async destroy(ownerId: string): Promise<void> {
    const row = await update(this.#rows, ownerId, (found) =>
      found.state === 'erased' && found.given_up !== true ? undefined : erased(found),
    );
    // Without a row too the owner gets a tombstone: a registration that is still running finds it
    // and stores no key.
    if (row === undefined && !(await this.#bury(ownerId))) return this.destroy(ownerId);
    failpoint('user-key.erased');
    this.cache.drop(ownerId);
    if (row?.name === undefined) return;
    await this.wraps.erase(row.name, ownerId);
    failpoint('user-key.wraps-erased');
    await update(this.#rows, ownerId, ({ name, ...rest }) => (name === undefined ? undefined : rest));
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

  /**
   * Steps 1 to 3 of the wrap protocol, over the tombstone of a key that was given up if there is
   * one. Undefined where another was quicker.
   */
  async #insertPending(ownerId: string, name: string, former?: UserKeyDoc): Promise<UserKeyDoc | undefined> {
    const { current, epoch } = await this.masterRow.read();
    const isNamed = (await this.wraps.location()) === 'vault';
    const key = newKey();
    try {
      const row = { _id: ownerId, ...(isNamed && { name }), master_epoch: epoch, created_at: this.clock.now() };
      const draft = await asOneOperation(() => this.#wrapped(row, current, key));
      return draft && (await this.#insert(draft, former));
    } finally {
      key.destroy();
    }
  }

  /**
   * The row with its wraps where they belong; undefined where their place had to be made free
   * first.
   */
  async #wrapped(row: NewRow, current: number, key: SecretBytes): Promise<Draft<UserKeyDoc> | undefined> {
    const version = await wrapFirst(this.masterKey, current, row._id, key, row.created_at);
    failpoint('user-key.wrapped');
    const draft = pendingRow(row, version, key);
    return (await this.#keep(draft, true)) ? draft : undefined;
  }

  /** The wraps first: a row that is found has them. */
  async #insert(draft: Draft<UserKeyDoc>, former: UserKeyDoc | undefined): Promise<UserKeyDoc | undefined> {
    const row = await this.#stored(storedRow(draft), former);
    if (row !== undefined) {
      failpoint('user-key.pending-stored');
      return row;
    }
    // This process alone knew that key.
    await this.wraps.delete(
      draft,
      draft.versions.flatMap(({ key_id }) => key_id ?? []),
    );
    return undefined;
  }

  async #stored(draft: Draft<UserKeyDoc>, former: UserKeyDoc | undefined): Promise<UserKeyDoc | undefined> {
    if (former !== undefined) return this.#rows.replace({ ...draft, epoch: former.epoch + 1, rev: former.rev });
    try {
      return await this.#rows.insert(draft);
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      return undefined;
    }
  }

  /**
   * False where the place had to be made free first, or where the wraps of a row that was found are
   * gone: that row goes too.
   */
  async #keep(row: Draft<UserKeyDoc>, isNew: boolean): Promise<boolean> {
    try {
      await this.wraps.put(row, isNew);
      return true;
    } catch (error) {
      if (!(error instanceof WrapPathConflict)) throw error;
      await releaseStalePath(this.#rows, this.wraps, error);
      return false;
    }
  }

  /**
   * Steps 4 to 6: active if the master key's epoch is still the one of the wrap, else rewrapped and
   * to be looked at once more. Where the wraps of all are being moved the same argument holds: the
   * move sees the row, or this look sees the move.
   */
  async #settle(row: UserKeyDoc): Promise<boolean> {
    if (!(await this.wraps.isSettled(row))) return false;
    const { current, epoch } = await this.masterRow.read();
    const [found] = await this.wraps.get([row]);
    if (found?.ok !== true) return this.#discard(row);
    if (row.master_epoch === epoch) {
      // The document once more, behind the row: who gave an earlier key of this owner up does not
      // end this one (given-up-keys.ts).
      if (!(await this.#keep(found.value, false))) return false;
      failpoint('user-key.before-active');
      return (await this.#rows.replace({ ...row, state: 'active' })) !== undefined;
    }
    const [again] = await rewrapStored(this.wraps, this.masterKey, current, [row]);
    if (again?.ok !== true) return this.#discard(row);
    if (!(await this.#keep(again.value, false))) return false;
    await this.#rows.replace({ ...storedRow(again.value), master_epoch: epoch });
    failpoint('user-key.wrapped-again');
    return false;
  }

  /**
   * A pending row whose wrap no longer opens, since its version was retired while its writer was
   * dead. Nothing is sealed under it.
   */
  async #discard(row: UserKeyDoc): Promise<false> {
    await giveUp(this.#rows, this.wraps, row);
    return false;
  }
}

export const FIRST_VERSION = 1;

export type NewRow = Pick<UserKeyDoc, '_id' | 'master_epoch' | 'created_at'> & { readonly name?: string };

/** The row of a new owner, not visible yet, with a name key of its own. */
export const pendingRow = (row: NewRow, version: UserKeyVersion, key: SecretBytes): Draft<UserKeyDoc> => ({
  ...row,
  state: 'pending',
  current: FIRST_VERSION,
  epoch: 1,
  versions: [version],
  master_version: version.master_version,
  wrapped_name_key: newNameKey(row._id, key),
  quarantined: false,
});

function newNameKey(ownerId: string, key: SecretBytes): string {
  const secrets = subkeyOf(key, 'secrets', ownerId, FIRST_VERSION);
  const nameKey = newKey();
  try {
    return sealRecord(secrets, FIRST_VERSION, nameKeyContext(ownerId), plaintext(nameKey.bytes)).toString('hex');
  } finally {
    nameKey.destroy();
    secrets.destroy();
  }
}
