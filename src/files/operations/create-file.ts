import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config/index';
import { FileSummary } from '../../crypto/index';
import {
  AuditIntent,
  AuditSink,
  ChunkBatch,
  DomainError,
  Principal,
  auditedAfterLook,
  failpoint,
  newId,
} from '../../kernel/index';
import { ContentFacts } from '../model/file-encryption';
import { FileContents } from '../content/content-store';
import { FileRemoval } from './file-removal';
import { FileView, viewOf } from '../model/file-view';
import { SizeLimits, checkSize, limited, whileAdmitted } from '../content/pipeline';
import { IfTaken, NewFiles, PendingFile } from './pending-file';
import { UploadRequest } from '../http/request/upload-fields';
import { QuotaLedger } from '../content/quota-ledger';

/**
 * Upload, all or nothing: pending row, then the blob, durable, then the share of the quota, and only then the file under its name
 * (docs/files.md). What is left of an upload that fails is removed at once, of one that was killed by the sweeper.
 */
@Injectable()
export class FileUploads {
  constructor(
    private readonly newFiles: NewFiles,
    private readonly contents: FileContents,
    private readonly usage: QuotaLedger,
    private readonly removal: FileRemoval,
    private readonly audit: AuditSink,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Takes a content in as it comes. `declaredBytes` is what the client says that it will be, where it does.
   * @throws DomainError `file_exists`, `too_large`, `quota_exceeded`, `checksum_mismatch`, `storage_full`, `kms_unavailable`, and what
   * `content` throws.
   */
  upload(
    caller: Principal,
    request: UploadRequest,
    content: AsyncIterable<ChunkBatch>,
    declaredBytes: number | undefined,
  ): Promise<FileView> {
    const fileId = newId();
    const what = { action: 'file.upload', ...senderOf(caller), resource: `file/${fileId}` } as const;
    return auditedAfterLook(this.audit, what, async (begin) => {
      const ifTaken = caller.kind === 'link-holder' ? 'keep-unnamed' : 'refuse';
      if (ifTaken === 'refuse') await this.newFiles.refuseTakenName(caller.ownerId, request.name);
      const limits = await this.limits(caller);
      checkSize(declaredBytes ?? 0, limits);
      await begin();
      const pending = await this.newFiles.open(fileId, caller.ownerId, request);
      try {
        return await this.fill(pending, { request, ifTaken }, whileAdmitted(caller, limited(content, limits)));
      } catch (error) {
        await this.abandon(pending);
        throw error;
      }
    });
  }

  /** Bytes that a file of this caller may have. */
  largest(caller: Principal): number {
    const ofLink = caller.kind === 'link-holder' ? caller.largest : undefined;
    return Math.min(this.config.files.maxSize, ofLink ?? Infinity);
  }

  private async fill(
    pending: PendingFile,
    { request, ifTaken }: { readonly request: UploadRequest; readonly ifTaken: IfTaken },
    content: AsyncIterable<ChunkBatch>,
  ): Promise<FileView> {
    const { _id: fileId, owner_id: ownerId } = pending.row;
    const summary = await this.write(pending, content);
    failpoint('file.blob-stored');
    checkDigest(summary, request);
    await this.usage.add(ownerId, fileId, summary.plaintextSize);
    failpoint('file.counted');
    const { plaintextSize: size, encryptedSize } = summary;
    const facts = factsOf(summary, request);
    const row = await this.newFiles.activate(fileId, request, { size, encryptedSize, facts }, ifTaken);
    failpoint('file.active');
    // The file is there: a mark that stays is for the sweeper.
    await this.usage.settleAdded(ownerId, fileId).catch(() => undefined);
    return viewOf(row, row.name_index === undefined ? null : request.name, facts);
  }

  private async write({ row, key }: PendingFile, content: AsyncIterable<ChunkBatch>): Promise<FileSummary> {
    const heartbeat = this.newFiles.keepAlive(row._id);
    try {
      return await this.contents.write(row, key, heartbeat.guard(content));
    } finally {
      heartbeat.stop();
    }
  }

  private async limits(caller: Principal): Promise<SizeLimits> {
    return { largest: this.largest(caller), quota: await this.usage.left(caller.ownerId) };
  }

  /** Never throws, the error that led here is the one to tell; where the store does not answer, the sweeper does this later. */
  private async abandon({ row }: PendingFile): Promise<void> {
    try {
      const current = await this.removal.begin(row._id, () => true);
      await this.removal.finish(current ?? row);
    } catch {
      return;
    }
  }
}

/** Whoever holds an upload link is not its owner: the log names the link. */
const senderOf = (caller: Principal): Pick<AuditIntent, 'actor' | 'details'> => ({
  actor: caller.actor,
  ...(caller.kind === 'link-holder' && { details: { link: caller.linkId } }),
});

/** @throws DomainError `checksum_mismatch` */
export function checkDigest(summary: FileSummary, request: Pick<UploadRequest, 'sha256'>): void {
  if (request.sha256 !== undefined && request.sha256 !== summary.sha256) {
    throw new DomainError('checksum_mismatch', { detail: 'The SHA-256 of the content does not match.' });
  }
}

const factsOf = (summary: FileSummary, request: UploadRequest): ContentFacts => ({
  contentType: request.contentType,
  sha256: summary.sha256,
  envelope: request.envelope,
});
