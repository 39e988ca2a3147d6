import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { FileSummary } from '../../crypto';
import {
  AuditIntent,
  AuditSink,
  ChunkBatch,
  DomainError,
  Principal,
  auditedAfterLook,
  failpoint,
  newId,
  requireName,
} from '../../kernel';
import { ContentStore } from '../content/content-store';
import { SizeLimits, abortWhenLost, checkSize, enforceLimits, guarded, requireAdmitted } from '../content/pipeline';
import { QuotaLedger } from '../content/quota-ledger';
import { FileView, UploadRequest, viewOf } from '../model/file';
import { ContentFacts } from '../model/file-encryption';
import { FileRemoval } from './delete-file';
import { IfTaken, PendingFile, PendingFiles } from './pending-file';

/** A new file on its way in. */
interface Upload {
  readonly caller: Principal;
  readonly request: UploadRequest;
  readonly limits: SizeLimits;
  readonly ifTaken: IfTaken;
}

/**
 * Creates a file, all or nothing: the pending row, then the blob, durable, then the share of the
 * quota, then the file under its name. A failed upload is removed at once, a killed one by the
 * sweeper.
 */
@Injectable()
export class CreateFile {
  constructor(
    private readonly pendingFiles: PendingFiles,
    private readonly contents: ContentStore,
    private readonly quota: QuotaLedger,
    private readonly removal: FileRemoval,
    private readonly audit: AuditSink,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Stores a content as it comes. `declaredBytes` is the size that the client announces.
   * @throws DomainError `file_exists`, `too_large`, `quota_exceeded`, `checksum_mismatch`,
   * `storage_full`, `kms_unavailable`, and what `body` throws.
   */
  upload(
    caller: Principal,
    request: UploadRequest,
    body: AsyncIterable<ChunkBatch>,
    declaredBytes: number | undefined,
  ): Promise<FileView> {
    const fileId = newId();
    const what = { action: 'file.upload', ...senderOf(caller), resource: `file/${fileId}` } as const;
    return auditedAfterLook(this.audit, what, async (begin) => {
      requireName(caller, request.name);
      const ifTaken = caller.kind === 'link-holder' ? 'keep-unnamed' : 'refuse';
      if (ifTaken === 'refuse') await this.pendingFiles.refuseTakenName(caller.ownerId, request.name);
      const limits = { largest: this.largest(caller), quota: await this.quota.left(caller.ownerId) };
      checkSize(declaredBytes ?? 0, limits);
      await begin();
      const pending = await this.pendingFiles.open(fileId, caller.ownerId, request);
      try {
        return await this.#receive({ caller, request, limits, ifTaken }, pending, body);
      } catch (error) {
        await this.#abandon(pending);
        throw error;
      }
    });
  }

  /** Bytes that a file of this caller may have. */
  largest(caller: Principal): number {
    const ofLink = caller.kind === 'link-holder' ? caller.largest : undefined;
    return Math.min(this.config.files.maxSize, ofLink ?? Infinity);
  }

  /**
   * The stages of an upload, in their order. `body` is the request's, as `readBody` gives it. The
   * blob store pulls: `message` reads `content`, which reads `body`.
   */
  async #receive(
    { caller, request, limits, ifTaken }: Upload,
    { row: target, key }: PendingFile,
    body: AsyncIterable<ChunkBatch>,
  ): Promise<FileView> {
    const keepalive = this.pendingFiles.keepAlive(target._id);
    const content = guarded(body, enforceLimits(limits), requireAdmitted(caller), abortWhenLost(keepalive));
    const message = this.contents.encrypt(target, key, content);
    const summary = await this.contents.store(target, message).finally(() => keepalive.stop());
    failpoint('file.blob-stored');
    checkDigest(summary, request);
    await this.quota.add(target.owner_id, target._id, summary.plaintextSize);
    failpoint('file.counted');
    const facts = factsOf(summary, request);
    const stored = { size: summary.plaintextSize, encryptedSize: summary.encryptedSize, facts };
    const file = await this.pendingFiles.activate(target._id, request, stored, ifTaken);
    failpoint('file.active');
    // The file is visible: the sweeper settles a mark that stays.
    await this.quota.settleAdded(target.owner_id, target._id).catch(() => undefined);
    return viewOf(file, file.name_index === undefined ? null : request.name, facts);
  }

  /**
   * Never throws, so that the caller reports the first error. The sweeper does this where the store
   * fails.
   */
  async #abandon({ row }: PendingFile): Promise<void> {
    try {
      const current = await this.removal.begin(row._id, () => true);
      await this.removal.finish(current ?? row);
    } catch {
      return;
    }
  }
}

/** The holder of an upload link is not its owner: the log names the link. */
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
