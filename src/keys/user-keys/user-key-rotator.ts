import { Injectable } from '@nestjs/common';
import { envelopeVersion, MAX_KEY_VERSION, newKey, openRecord, sealRecord, versionIn } from '../../crypto';
import { ciphertext, Clock, DomainError, failpoint, newId, SecretBytes } from '../../kernel';
import { type Collection, retryOnConflict, Store } from '../../store';
import { MasterKey, MasterKeyRow } from '../master-key';
import { nameKeyContext, subkeyOf } from './user-key-handle';
import { storedRow, type UserKeyDoc, userKeysCollection, type UserKeyVersion } from './user-keys.collection';
import { WrapPathConflict, WrapStore } from './wrap-store/wrap-store';
import { lowestMasterVersion, unwrapVersions, userKeyContext } from './wraps';

export interface UserKeyState {
  readonly current: number;
  /**
   * All versions that something may be sealed under, oldest first. `createdAt`: ms since the epoch.
   */
  readonly versions: readonly { readonly version: number; readonly createdAt: number }[];
}

/**
 * New versions of an owner's key, and the end of old ones. What is sealed under them is the
 * rotation job's business.
 */
@Injectable()
export class UserKeyRotator {
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly masterKey: MasterKey,
    private readonly masterRow: MasterKeyRow,
    private readonly clock: Clock,
    private readonly wraps: WrapStore,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /** @throws DomainError `not_found` where the owner has no active key. */
  async state(ownerId: string): Promise<UserKeyState> {
    const { current, versions } = await this.#row(ownerId);
    const listed = versions.map(({ version, created_at }) => ({ version, createdAt: created_at }));
    return { current, versions: listed.sort((a, b) => a.version - b.version) };
  }

  /**
   * The version that follows `from`: made here, or the one that is there already. From then on
   * everything new is sealed under it, and the name key, which stays what it is, is sealed under it
   * too: one compare-and-set, with the epoch. The owner's row is read before the master key row: a
   * retire in between had to wrap the row again, and the compare-and-set fails.
   * @throws DomainError `not_found`, `kms_unavailable`, `conflict` where there is no number left,
   * `decryption_failed` where the present versions do not open.
   */
  advance(ownerId: string, from: number): Promise<number> {
    return retryOnConflict(async () => {
      const row = await this.#row(ownerId);
      if (row.current > from) return row.current;
      const complete = await this.#complete(row);
      if (complete === undefined) return undefined;
      const made = await this.#withNewVersion(complete);
      failpoint('user-key-rotation.wrapped');
      // The wraps first: a row that names a version has it.
      if (!(await this.#keep(made))) return undefined;
      const stored = await this.#rows.replace(storedRow(made));
      if (stored === undefined) await this.wraps.delete(row, keyIdsOf(made, made.current));
      return stored?.current;
    });
  }

  /**
   * Takes `versions` out of the owner's row; never the current one, nor the one that seals the name
   * key. They open nothing from then on, on any replica. The same write says that wraps are to go
   * from the wrap store: `OrphanedWraps` does that, and does it again until it has ended.
   */
  drop(ownerId: string, versions: ReadonlySet<number>): Promise<number> {
    return retryOnConflict(async () => {
      const row = await this.#row(ownerId);
      const named = versionIn(row.wrapped_name_key);
      const isNeeded = (version: number): boolean => version === row.current || version === named;
      const kept = row.versions.filter(({ version }) => isNeeded(version) || !versions.has(version));
      const dropped = row.versions.length - kept.length;
      if (dropped === 0) return 0;
      const next = { ...row, versions: kept, master_version: lowestMasterVersion(kept), epoch: row.epoch + 1 };
      const noted = row.name !== undefined ? { ...next, strays: true } : next;
      if ((await this.#rows.replace(noted)) === undefined) return undefined;
      failpoint('user-key.row-dropped');
      return dropped;
    });
  }

  async #row(ownerId: string): Promise<UserKeyDoc> {
    const row = await this.#rows.find('_id', ownerId);
    if (row?.state !== 'active') throw new DomainError('not_found');
    return row;
  }

  /**
   * False where the wraps went elsewhere in between, and the row with them.
   * @throws DomainError `not_found` where an erase took them.
   */
  async #keep(row: UserKeyDoc): Promise<boolean> {
    try {
      await this.wraps.put(row);
      return true;
    } catch (error) {
      if (!(error instanceof WrapPathConflict)) throw error;
      if (await this.#isUnchanged(row)) throw new DomainError('not_found');
      return false;
    }
  }

  /** Undefined where the wraps went elsewhere in between, and the row with them. */
  async #complete(row: UserKeyDoc): Promise<UserKeyDoc | undefined> {
    const [found] = await this.wraps.get([row]);
    if (found?.ok === true) return found.value;
    if (await this.#isUnchanged(row)) throw new DomainError('decryption_failed');
    return undefined;
  }

  async #isUnchanged({ _id, rev }: UserKeyDoc): Promise<boolean> {
    return (await this.#row(_id)).rev === rev;
  }

  async #withNewVersion(row: UserKeyDoc): Promise<UserKeyDoc> {
    requireNextVersion(row.current);
    const opened = await unwrapVersions(this.masterKey, row);
    if (opened === undefined) throw new DomainError('decryption_failed');
    const key = newKey();
    try {
      const current = row.current + 1;
      const versions = [...row.versions, await this.#wrap(row._id, current, key)];
      return {
        ...row,
        current,
        epoch: row.epoch + 1,
        versions,
        master_version: lowestMasterVersion(versions),
        wrapped_name_key: nameKeyUnder(row, opened, { version: current, key }),
      };
    } finally {
      for (const old of opened.values()) old.destroy();
      key.destroy();
    }
  }

  async #wrap(ownerId: string, version: number, key: SecretBytes): Promise<UserKeyVersion> {
    const { current } = await this.masterRow.read();
    const [wrapped] = await this.masterKey.wrap(current, [{ key, context: userKeyContext(ownerId, version) }]);
    if (wrapped === undefined) throw new TypeError('a wrap gave no answer');
    const { ciphertext: text, masterVersion } = wrapped;
    return {
      version,
      wrapped: text,
      master_version: masterVersion,
      key_id: newId(),
      created_at: this.clock.now(),
    };
  }
}

/**
 * @throws DomainError `conflict` where the key has had its last version: a number is never used
 * twice.
 */
export function requireNextVersion(current: number): void {
  if (current < MAX_KEY_VERSION) return;
  throw new DomainError('conflict', { detail: `This key has used all of its ${MAX_KEY_VERSION} versions.` });
}

const keyIdsOf = (row: UserKeyDoc, meant: number): string[] =>
  row.versions.flatMap(({ version, key_id }) => (version === meant && key_id !== undefined ? [key_id] : []));

/** The owner's name key, opened with the version that seals it and sealed under `next`. */
function nameKeyUnder(
  row: UserKeyDoc,
  opened: ReadonlyMap<number, SecretBytes>,
  next: { readonly version: number; readonly key: SecretBytes },
): string {
  const envelope = ciphertext(Buffer.from(row.wrapped_name_key, 'hex'));
  const version = envelopeVersion(envelope);
  const key = opened.get(version);
  if (key === undefined) throw new DomainError('decryption_failed');
  const place = nameKeyContext(row._id);
  const [from, to] = [subkeyOf(key, 'secrets', row._id, version), subkeyOf(next.key, 'secrets', row._id, next.version)];
  try {
    const nameKey = openRecord(from, place, envelope);
    const sealed = sealRecord(to, next.version, place, nameKey).toString('hex');
    nameKey.fill(0);
    return sealed;
  } finally {
    from.destroy();
    to.destroy();
  }
}
