import { Injectable } from '@nestjs/common';
import { Clock, DomainError, Principal, StaleKeyVersionError } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { Collection, Store } from '../../store';
import { FileDoc, fileCollection, isVisible } from '../model/file.collection';
import { shownOffset, uploadNotFound } from './upload';
import { openDetails } from './upload-cipher';
import { UploadLocks } from './upload-locks';
import { UploadDoc, uploadCollection } from './upload.collection';

/** An upload as its client sees it. */
export interface UploadView {
  readonly id: string;
  readonly offset: number;
  readonly length: number;
  /** ms since the epoch; undefined while the file is being made. */
  readonly expiresAt: number | undefined;
  /** Once the file is there. */
  readonly fileId: string | undefined;
}

export const viewOf = (row: UploadDoc): UploadView => ({
  id: row._id,
  offset: shownOffset(row),
  length: row.length,
  expiresAt: row.expires_at,
  fileId: row.state === 'done' ? row._id : undefined,
});

/** Uploads as their owners may see them. One of somebody else is not there. */
@Injectable()
export class UploadAccess {
  readonly #rows: Collection<UploadDoc>;
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly locks: UploadLocks,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(uploadCollection);
    this.#files = store.collection(fileCollection);
  }

  /** An upload that a client may go on with, or ask about. @throws DomainError as `owned`, `file_not_found` */
  async usable(caller: Principal, id: string): Promise<UploadDoc> {
    const row = await this.owned(caller, id);
    await this.checkFile(row);
    return row;
  }

  /**
   * A client that remembers an upload takes the answer to HEAD for the file: where that is deleted, expired or in the trash, the client has
   * to begin anew. @throws DomainError `file_not_found`
   */
  async checkFile({ _id: id, state }: UploadDoc): Promise<void> {
    if (state !== 'done' || isVisible(await this.#files.find('_id', id), this.clock.now())) return;
    throw new DomainError('file_not_found', { detail: 'The file from this upload no longer exists.' });
  }

  /** @throws DomainError `not_found`, `link_expired` */
  async owned(caller: Principal, id: string): Promise<UploadDoc> {
    const row = await this.#rows.find('_id', id);
    if (row?.owner_id !== caller.ownerId || row.state === 'new' || row.state === 'ended') throw uploadNotFound();
    if (row.running === undefined && row.expires_at !== undefined && row.expires_at <= this.clock.now()) {
      throw new DomainError('link_expired', { detail: 'The upload has expired.' });
    }
    return row;
  }

  /** How far it is, and the metadata that it was created with. An attempt that hangs is ended first, so that what it got is told. */
  async look(caller: Principal, id: string): Promise<UploadView & { readonly metadata: string }> {
    await this.locks.settled(await this.owned(caller, id));
    const { row, metadata } = await this.described(caller, id);
    if (row.state === 'failed') throw new DomainError('decryption_failed');
    return { ...viewOf(row), metadata };
  }

  private async described(caller: Principal, id: string): Promise<{ row: UploadDoc; metadata: string }> {
    const open = async (): Promise<{ row: UploadDoc; metadata: string }> => {
      const row = await this.usable(caller, id);
      return { row, metadata: await this.sealer.with(row.owner_id, (keys) => openDetails(keys, row).metadata) };
    };
    // Sealed again between the two reads: the new row opens.
    return open().catch((error: unknown) => {
      if (error instanceof StaleKeyVersionError) return open();
      throw error;
    });
  }
}
