import { Injectable } from '@nestjs/common';
import { Clock, DomainError, isDomainError, Principal, requireName, retryOnStaleKey } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { GrantAccess, Resource } from '../../sharing';
import { Collection, Store } from '../../store';
import { fileName, fileNotFound } from '../model/file';
import { openName } from '../model/file-encryption';
import { ActiveFile, FileDoc, TrashedFile, fileCollection, isInTrash, isVisible } from '../model/file.collection';

/** How a request names a file. */
export type FileRef = { readonly id: string } | { readonly name: string };

/**
 * Who may do what with a file. One that the caller may not see answers as one that does not exist.
 */
@Injectable()
export class FileAccess {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly grants: GrantAccess,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /**
   * A file that the caller may read, as its owner or by a grant. A name is one of the caller's own
   * files.
   * @throws DomainError `file_not_found`, `integrity_failed`.
   */
  readable(caller: Principal, ref: FileRef): Promise<ActiveFile> {
    return retryOnStaleKey(async () => {
      const row = await this.#find(caller, ref);
      if (row === undefined || !(await this.#mayRead(caller, row))) throw fileNotFound();
      await this.#requireCovered(caller, row);
      return row;
    });
  }

  /**
   * A file that the caller may change.
   * @throws as `readable`; `permission_denied` for one that the caller may only read.
   */
  async owned(caller: Principal, ref: FileRef): Promise<ActiveFile> {
    const row = await this.readable(caller, ref);
    if (row.owner_id === caller.ownerId) return row;
    throw new DomainError('permission_denied', { detail: 'Only the owner of a file may do this.' });
  }

  /** Whether there is such a file, in the trash or not: its grants and links stay with it. */
  async isKept(fileId: string): Promise<boolean> {
    const row = await this.#files.find('_id', fileId);
    return row?.state === 'active' || row?.state === 'trashed';
  }

  /** A file of this owner that readers may see. @throws DomainError `integrity_failed`. */
  async visible(fileId: string, ownerId: string): Promise<ActiveFile | undefined> {
    const row = await this.#files.find('_id', fileId);
    return isVisible(row, this.clock.now()) && row.owner_id === ownerId ? row : undefined;
  }

  /**
   * The file that a link of its owner leads to.
   * @throws DomainError `file_not_found`, `integrity_failed`.
   */
  async linked(fileId: string, ownerId: string): Promise<ActiveFile> {
    const row = await this.visible(fileId, ownerId);
    if (row === undefined) throw fileNotFound();
    return row;
  }

  /**
   * A file in the caller's own trash; undefined where there is none of this id.
   * @throws DomainError `integrity_failed`.
   */
  trashed(caller: Principal, id: string): Promise<TrashedFile | undefined> {
    return retryOnStaleKey(async () => {
      const row = await this.#files.find('_id', id);
      if (!isInTrash(row, this.clock.now()) || row.owner_id !== caller.ownerId) return undefined;
      await this.#requireCovered(caller, row);
      return row;
    });
  }

  async #mayRead(caller: Principal, row: ActiveFile): Promise<boolean> {
    return row.owner_id === caller.ownerId || this.grants.admits(caller.ownerId, asResource(row));
  }

  /**
   * Names are sealed: they are opened only for a scope that is narrowed to a prefix.
   * @throws DomainError `insufficient_scope`
   */
  async #requireCovered(caller: Principal, row: FileDoc): Promise<void> {
    if (caller.within === undefined) return;
    const isNamed = row.name_index !== undefined || row.state === 'trashed';
    requireName(caller, isNamed ? await this.sealer.with(row.owner_id, (keys) => openName(keys, row)) : null);
  }

  async #find(caller: Principal, ref: FileRef): Promise<ActiveFile | undefined> {
    const row = 'id' in ref ? await this.#files.find('_id', ref.id) : await this.#named(caller, ref.name);
    return isVisible(row, this.clock.now()) ? row : undefined;
  }

  async #named(caller: Principal, name: string): Promise<FileDoc | undefined> {
    if ('fault' in fileName(name)) return undefined;
    requireName(caller, name);
    try {
      const index = await this.sealer.with(caller.ownerId, (keys) => keys.nameIndex(name));
      return await this.#files.find('name', caller.ownerId, index);
    } catch (error) {
      // A subject that is not there yet has no key, and no files.
      if (isDomainError(error, 'not_found')) return undefined;
      throw error;
    }
  }
}

/** A file, as sharing knows it. */
export const asResource = ({ _id, owner_id }: Pick<FileDoc, '_id' | 'owner_id'>): Resource => ({
  type: 'file',
  id: _id,
  ownerId: owner_id,
});
