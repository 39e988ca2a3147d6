import { Logger } from '@nestjs/common';
import type { WrapLocation } from '../../../installation';
import { DomainError, failpoint, newId } from '../../../kernel';
import { type Collection, scanPages } from '../../../store';
import type { MasterKey } from '../../master-key';
import { releaseStalePath } from '../tombstones';
import { isInVault, storedRow, type UserKeyDoc, type UserKeyVersion } from '../user-keys.collection';
import { holdSameKey, lowestMasterVersion } from '../wraps';
import {
  ForeignWraps,
  type MovableWrapStore,
  type OwnerNames,
  type StoredWrap,
  UnreadableWrapDocument,
  WrapPathConflict,
} from './wrap-store';

/**
 * These wraps cannot be moved as they are: the document is gone or damaged, or the name is somebody
 * else's.
 */
export class Immovable extends DomainError {
  constructor(detail: string) {
    super('integrity_failed', { detail });
  }
}

/**
 * Moves the wraps of one owner between the row and Vault. In between the row has them and says that
 * there may be a document as well, so they are never in one place that nothing names. Each step is
 * a compare-and-set on the row or on the document, and may be repeated, late and by several at
 * once.
 */
export class UserKeyMover {
  readonly #logger = new Logger('UserKeys');

  constructor(
    private readonly rows: Collection<UserKeyDoc>,
    private readonly vault: MovableWrapStore,
    private readonly names: OwnerNames,
    private readonly masterKey: MasterKey,
    private readonly newest: () => Promise<WrapLocation>,
  ) {}

  /**
   * All rows that are not in their form there yet, pending ones included; towards the store those
   * of erases that have not ended too.
   */
  async *due(to: WrapLocation, onTampered: (id: string) => void): AsyncGenerator<UserKeyDoc> {
    for await (const row of scanPages(this.rows, '_id', [], onTampered)) if (isDue(row, to)) yield row;
  }

  /**
   * False where the row changed meanwhile: it is to be read again.
   * @throws Immovable; DomainError `kms_unavailable`, `store_unavailable`.
   */
  async move(row: UserKeyDoc, to: WrapLocation): Promise<boolean> {
    if (!isDue(row, to)) return true;
    try {
      if (row.state === 'erased') return await this.#endErase(row);
      return to === 'vault' ? await this.#toVault(row) : await this.#toStore(row);
    } catch (error) {
      if (error instanceof UnreadableWrapDocument) throw new Immovable('the document in Vault cannot be read');
      throw error;
    }
  }

  async #toVault(row: UserKeyDoc): Promise<boolean> {
    const moving = row.moving === 'vault' ? row : await this.#announce(row, await this.#named(row), 'vault');
    if (moving === undefined || !(await this.#fill(moving))) return false;
    failpoint('user-key-move.copied');
    const { moving: _, ...moved } = moving;
    if (!(await this.#isThere(moved))) return false;
    const stored = await this.rows.replace(storedRow(moved));
    failpoint('user-key-move.switched');
    return stored !== undefined;
  }

  /** Where another one has the name, the next look finds it free or tells why it is not. */
  async #fill(moving: UserKeyDoc): Promise<boolean> {
    try {
      return await this.vault.fill(moving, () => this.#isStill(moving));
    } catch (error) {
      if (error instanceof ForeignWraps) return this.#adopt(moving, error.entries);
      if (!(error instanceof WrapPathConflict)) throw error;
      await releaseStalePath(this.rows, this.vault, error).catch((held: unknown) => {
        throw held instanceof DomainError && held.code === 'conflict' ? new Immovable('the name is taken') : held;
      });
      return false;
    }
  }

  /**
   * The row is from a backup of before its wraps came to Vault: where both are of the same key the
   * row takes the id that the document has, so that a later backup of the store still opens with
   * it. Nothing is written over a key that is another one: which of them is needed only an operator
   * can say. False: the row is to be read again.
   */
  async #adopt(moving: UserKeyDoc, entries: readonly StoredWrap[]): Promise<false> {
    const versions: UserKeyVersion[] = [];
    for (const own of moving.versions) {
      const rivals = entries.filter(({ version }) => version === own.version);
      const same = await this.#sameAs(moving._id, own, rivals);
      if (same === undefined && rivals.length > 0)
        throw new Immovable(
          `Vault has another key of version ${own.version}, which a later backup of the store may need`,
        );
      versions.push({ ...own, ...(same !== undefined && { key_id: same.key_id }) });
    }
    this.#logger.warn(`the key of owner ${moving._id} is in Vault already, and keeps its id there`);
    await this.rows.replace({ ...moving, versions });
    return false;
  }

  async #sameAs(ownerId: string, own: UserKeyVersion, rivals: readonly StoredWrap[]): Promise<StoredWrap | undefined> {
    for (const rival of rivals) if (await holdSameKey(this.masterKey, ownerId, [own, rival])) return rival;
    return undefined;
  }

  /**
   * Read back, before the row gives its own wraps up. A wrap under a newer master version may have
   * come from a rotation.
   */
  async #isThere(row: UserKeyDoc): Promise<boolean> {
    const [kept] = await this.vault.get([row]);
    if (kept?.ok !== true) return false;
    return row.versions.every(({ key_id, wrapped, master_version }) =>
      kept.value.versions.some(
        (entry) => entry.key_id === key_id && (entry.wrapped === wrapped || entry.master_version > master_version),
      ),
    );
  }

  async #toStore(row: UserKeyDoc): Promise<boolean> {
    const complete = await this.#complete(row);
    if (complete !== undefined && (await this.vault.isAhead(complete)))
      throw new Immovable('Vault has a newer version of this key than the store: rotate the key of this owner first');
    const moving = row.moving === 'store' ? row : complete && (await this.#announce(row, complete, 'store'));
    if (moving?.name === undefined) return false;
    await this.vault.erase(moving.name, moving._id, () => this.#isStill(moving));
    failpoint('user-key-move.emptied');
    const { moving: _, name: __, strays: ___, ...moved } = moving;
    const stored = await this.rows.replace(storedRow(moved));
    failpoint('user-key-move.switched');
    return stored !== undefined;
  }

  /**
   * The row with its wraps, its name and where it goes, before anything is done in Vault: an erase
   * from here on looks there too. A move that was reversed meanwhile is not gone on with: the one
   * that came after it may have passed this row by. Either that one sees the row announced, or the
   * look behind it sees that one.
   */
  async #announce(row: UserKeyDoc, changed: UserKeyDoc, to: WrapLocation): Promise<UserKeyDoc | undefined> {
    const announced = await this.rows.replace({ ...changed, moving: to, kept_in: 'both' });
    failpoint('user-key-move.announced');
    if (announced === undefined || (await this.newest()) === to) return announced;
    await this.rows.replace({ ...row, kept_in: 'both', rev: announced.rev });
    return undefined;
  }

  /**
   * An owner without an account, whose registration by mail has not ended, gets a name that no
   * account can have.
   */
  async #named(row: UserKeyDoc): Promise<UserKeyDoc> {
    if (row.name !== undefined) return row;
    const name = (await this.names.nameOf(row._id)) ?? `_${row._id}`;
    return { ...row, name, versions: row.versions.map((entry) => ({ ...entry, key_id: entry.key_id ?? newId() })) };
  }

  /** Undefined where the row changed meanwhile. */
  async #complete(row: UserKeyDoc): Promise<UserKeyDoc | undefined> {
    if (!isInVault(row)) return row;
    const [found] = await this.vault.get([row]);
    if (found?.ok === true) return { ...found.value, master_version: lowestMasterVersion(found.value.versions) };
    if (await this.#isStill(row)) throw new Immovable('the wraps are not in Vault');
    return undefined;
  }

  /** What an erase that died has left in Vault, as that erase goes on with it. */
  async #endErase(row: UserKeyDoc): Promise<boolean> {
    if (row.name === undefined) return true;
    await this.vault.erase(row.name, row._id);
    const { name: _, ...ended } = row;
    return (await this.rows.replace(ended)) !== undefined;
  }

  async #isStill({ _id, rev }: UserKeyDoc): Promise<boolean> {
    return (await this.rows.find('_id', _id))?.rev === rev;
  }
}

function isDue(row: UserKeyDoc, to: WrapLocation): boolean {
  if (to === 'store') return row.name !== undefined;
  return row.state !== 'erased' && !isInVault(row);
}
