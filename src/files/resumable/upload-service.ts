import { Injectable } from '@nestjs/common';
import {
  AuditAction,
  AuditIntent,
  AuditSink,
  ChunkBatch,
  Principal,
  auditedAfterLook,
  isDomainError,
  newId,
} from '../../kernel';
import { whileAdmitted } from '../content/pipeline';
import { UploadCompletion } from './upload-assembly';
import { NewUploads } from './create-upload';
import { IncomingChunk, checkRepeated } from './upload-chunk';
import { NewUpload } from './tus-headers';
import { uploadNotFound } from './upload';
import { UploadAccess, UploadView, viewOf } from './upload-access';
import { UploadAttempts } from './upload-writer';
import { UploadRemoval } from './upload-removal';
import { UploadDoc } from './upload.collection';

/** Resumable uploads: docs/uploads.md. */
@Injectable()
export class UploadsService {
  constructor(
    private readonly access: UploadAccess,
    private readonly newUploads: NewUploads,
    private readonly attempts: UploadAttempts,
    private readonly completion: UploadCompletion,
    private readonly removal: UploadRemoval,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Makes an upload, and takes the first piece where one came with it. Where that fails nothing stays: its client was told no address.
   * @throws DomainError `file_exists`, `too_large`, `quota_exceeded`, and as `append`.
   */
  async create(caller: Principal, request: NewUpload, piece: IncomingChunk | undefined): Promise<UploadView> {
    const created = await this.created(caller, request);
    // The file of no bytes has no PATCH to wait for.
    const first = piece ?? (request.length === 0 ? NO_BYTES : undefined);
    if (first === undefined) return viewOf(created);
    const row = await this.attempts.take(created, heldBy(caller, first)).catch(async (error: unknown) => {
      await this.discard(created);
      throw error;
    });
    return row.state === 'whole' ? viewOf(await this.finishedOr(row)) : viewOf(row);
  }

  /**
   * Takes a piece. The last one is answered when the file is there; sent once more, it is answered the same.
   * @throws UploadLocked; DomainError `not_found`, `conflict`, `too_large`, `checksum_mismatch`, `storage_full`, `store_unavailable`, ...
   */
  async append(caller: Principal, id: string, piece: IncomingChunk): Promise<UploadView> {
    const row = await this.access.usable(caller, id);
    if (row.state !== 'open') await checkRepeated(row, piece);
    const after = row.state === 'open' ? await this.attempts.take(row, heldBy(caller, piece)) : row;
    if (after.state === 'open') return viewOf(after);
    const done = await this.completion.complete(after);
    await this.access.checkFile(done);
    return viewOf(done);
  }

  look(caller: Principal, id: string): Promise<UploadView & { readonly metadata: string }> {
    return this.access.look(caller, id);
  }

  /** Ends an upload, and removes what came of it, also while the file is being made of it; a file that is there by now stays. */
  async terminate(caller: Principal, id: string): Promise<void> {
    await auditedAfterLook(this.audit, intent('upload.terminate', caller, id), async (begin) => {
      await this.access.owned(caller, id);
      await begin();
      const ended = await this.removal.begin(id, (row) => row.state !== 'ended');
      if (ended === undefined) throw uploadNotFound();
      // It has ended already; what cannot be cleared away now the sweeper takes.
      await this.removal.finish(ended).catch(() => undefined);
    });
  }

  private created(caller: Principal, request: NewUpload): Promise<UploadDoc> {
    const id = newId();
    return auditedAfterLook(this.audit, intent('upload.create', caller, id), async (begin) => {
      await this.newUploads.check(caller.ownerId, request);
      await begin();
      const row = await this.newUploads.insert(id, caller.ownerId, request);
      return this.newUploads.open(row, request).catch(async (error: unknown) => {
        await this.discard(row);
        throw error;
      });
    });
  }

  /** A client that was not told the address yet learns it now, and comes back for the file. */
  private finishedOr(row: UploadDoc): Promise<UploadDoc> {
    return this.completion.complete(row).catch((error: unknown) => {
      if (isDomainError(error, 'store_unavailable', 'kms_unavailable')) return row;
      throw error;
    });
  }

  /** Never throws: the error that led here is the one to tell. */
  private async discard({ _id: id }: UploadDoc): Promise<void> {
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

/** A piece counts only where its sender was not shut out while it came. */
const heldBy = (caller: Principal, piece: IncomingChunk): IncomingChunk => ({
  ...piece,
  content: whileAdmitted(caller, piece.content),
});

const NO_BYTES: IncomingChunk = {
  offset: 0,
  content: { [Symbol.asyncIterator]: nothing },
  announced: 0,
  checksum: undefined,
  interrupt: () => undefined,
};

async function* nothing(): AsyncGenerator<ChunkBatch, void> {}
