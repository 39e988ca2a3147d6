import { Injectable } from '@nestjs/common';
import {
  AuditAction,
  AuditIntent,
  AuditSink,
  ChunkBatch,
  Clock,
  DomainError,
  Principal,
  StaleKeyVersionError,
  auditedAfterLook,
  isDomainError,
  newId,
  requireName,
  retryOnStaleKey,
} from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { Collection, Store } from '../../store';
import { guarded, requireAdmitted } from '../content/pipeline';
import { openName } from '../model/file-encryption';
import { FileDoc, fileCollection, isVisible } from '../model/file.collection';
import { CreateUpload } from './create-upload';
import { NewUpload } from './tus-headers';
import { openDetails, shownOffset, uploadNotFound } from './upload';
import { UploadCompletion } from './upload-assembly';
import { UploadRemoval } from './upload-cleanup';
import { UploadLocks } from './upload-locks';
import { IncomingChunk, UploadWriter, checkRepeated } from './upload-writer';
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

/** Uploads as their owners may see them. One of another user answers as one that does not exist. */
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

  /**
   * An upload that a client may continue or ask about.
   * @throws DomainError as `owned`, `file_not_found`
   */
  async usable(caller: Principal, id: string): Promise<UploadDoc> {
    const row = await this.owned(caller, id);
    await this.checkFile(row);
    return row;
  }

  /**
   * A client that remembers an upload takes a successful HEAD for the file. Where the file is
   * deleted, expired or in the trash, the client has to begin again.
   * @throws DomainError `file_not_found`
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
    if (caller.within !== undefined) requireName(caller, await retryOnStaleKey(() => this.#nameOf(row)));
    return row;
  }

  /**
   * The offset and metadata. Ends an attempt that hangs first, so that the offset includes what it
   * got.
   */
  async look(caller: Principal, id: string): Promise<UploadView & { readonly metadata: string }> {
    await this.locks.settled(await this.owned(caller, id));
    const { row, metadata } = await this.#described(caller, id);
    if (row.state === 'failed') throw new DomainError('decryption_failed');
    return { ...viewOf(row), metadata };
  }

  /**
   * The upload's row and that of its file have one id. Null for a file that is gone, or without a
   * name.
   */
  async #nameOf({ _id: id }: UploadDoc): Promise<string | null> {
    const file = await this.#files.find('_id', id);
    const isNamed = file !== undefined && (file.state === 'pending' || file.name_index !== undefined);
    return isNamed ? this.sealer.with(file.owner_id, (keys) => openName(keys, file)) : null;
  }

  async #described(caller: Principal, id: string): Promise<{ row: UploadDoc; metadata: string }> {
    const open = async (): Promise<{ row: UploadDoc; metadata: string }> => {
      const row = await this.usable(caller, id);
      return { row, metadata: await this.sealer.with(row.owner_id, (keys) => openDetails(keys, row).metadata) };
    };
    // The row was re-encrypted between the two reads: the new one opens.
    return open().catch((error: unknown) => {
      if (error instanceof StaleKeyVersionError) return open();
      throw error;
    });
  }
}

/** Resumable uploads: docs/uploads.md. */
@Injectable()
export class UploadService {
  constructor(
    private readonly access: UploadAccess,
    private readonly newUploads: CreateUpload,
    private readonly writer: UploadWriter,
    private readonly completion: UploadCompletion,
    private readonly removal: UploadRemoval,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Makes an upload, and stores the first chunk where one came with it. Where that fails nothing
   * stays: its client has no address.
   * @throws DomainError `file_exists`, `too_large`, `quota_exceeded`, and as `append`.
   */
  async create(caller: Principal, request: NewUpload, chunk: IncomingChunk | undefined): Promise<UploadView> {
    const created = await this.#created(caller, request);
    // An empty file gets no PATCH.
    const first = chunk ?? (request.length === 0 ? NO_BYTES : undefined);
    if (first === undefined) return viewOf(created);
    const row = await this.writer.write(created, heldBy(caller, first)).catch(async (error: unknown) => {
      await this.#discard(created);
      throw error;
    });
    return row.state === 'whole' ? viewOf(await this.#finishedOr(row)) : viewOf(row);
  }

  /**
   * Stores a chunk. The last one returns when the file is there; a repeated one returns the same.
   * @throws UploadLocked; DomainError `not_found`, `conflict`, `too_large`, `checksum_mismatch`,
   * `storage_full`, `store_unavailable`, ...
   */
  async append(caller: Principal, id: string, chunk: IncomingChunk): Promise<UploadView> {
    const row = await this.access.usable(caller, id);
    if (row.state !== 'open') await checkRepeated(row, chunk);
    const after = row.state === 'open' ? await this.writer.write(row, heldBy(caller, chunk)) : row;
    if (after.state === 'open') return viewOf(after);
    const done = await this.completion.complete(after);
    await this.access.checkFile(done);
    return viewOf(done);
  }

  look(caller: Principal, id: string): Promise<UploadView & { readonly metadata: string }> {
    return this.access.look(caller, id);
  }

  /**
   * Ends and removes an upload, also while its file is being assembled. A file that exists by now
   * stays.
   */
  async terminate(caller: Principal, id: string): Promise<void> {
    await auditedAfterLook(this.audit, intent('upload.terminate', caller, id), async (begin) => {
      await this.access.owned(caller, id);
      await begin();
      const ended = await this.removal.begin(id, (row) => row.state !== 'ended');
      if (ended === undefined) throw uploadNotFound();
      // The upload has ended already; the sweeper removes what this cannot.
      await this.removal.finish(ended).catch(() => undefined);
    });
  }

  #created(caller: Principal, request: NewUpload): Promise<UploadDoc> {
    const id = newId();
    return auditedAfterLook(this.audit, intent('upload.create', caller, id), async (begin) => {
      requireName(caller, request.file.name);
      await this.newUploads.check(caller.ownerId, request);
      await begin();
      const row = await this.newUploads.insert(id, caller.ownerId, request);
      return this.newUploads.open(row, request).catch(async (error: unknown) => {
        await this.#discard(row);
        throw error;
      });
    });
  }

  /** A client that has no address yet gets it now, and comes back for the file. */
  #finishedOr(row: UploadDoc): Promise<UploadDoc> {
    return this.completion.complete(row).catch((error: unknown) => {
      if (isDomainError(error, 'store_unavailable', 'kms_unavailable')) return row;
      throw error;
    });
  }

  /** Never throws, so that the caller reports the first error. */
  async #discard({ _id: id }: UploadDoc): Promise<void> {
    try {
      const ended = await this.removal.begin(id, (row) => row.state === 'new' || row.state === 'open');
      if (ended !== undefined) await this.removal.finish(ended);
    } catch {
      return;
    }
  }
}

const intent = (action: AuditAction, caller: Principal, id: string): AuditIntent => ({
  action,
  actor: caller.actor,
  resource: `upload/${id}`,
});

/** Nothing of a chunk counts whose sender lost access while it came. */
const heldBy = (caller: Principal, chunk: IncomingChunk): IncomingChunk => ({
  ...chunk,
  body: guarded(chunk.body, requireAdmitted(caller)),
});

const NO_BYTES: IncomingChunk = {
  offset: 0,
  body: { [Symbol.asyncIterator]: nothing },
  contentLength: 0,
  checksum: undefined,
  interrupt: () => undefined,
};

async function* nothing(): AsyncGenerator<ChunkBatch, void> {}
