import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config/index';
import { FileSummary } from '../../crypto/index';
import { AuditSink, ChunkBatch, Principal, auditedAfterLook, failpoint, notedIfRefused } from '../../kernel/index';
import { OwnerKeys, Sealer } from '../../keys/user-keys/index';
import { FilledContent, Stamp, nextVersion, replaced, usageMark } from '../model/versions';
import { FileAccess } from './access';
import { openFacts, sealFacts } from '../model/file-encryption';
import { Precondition, currentTags, requireHolds } from '../model/etag';
import { checkDigest } from './create-file';
import { ActiveFile, OtherContent } from '../model/file.collection';
import { IncomingContent, IncomingContents } from './staged-content';
import { checkSize, limited, whileAdmitted } from '../content/pipeline';
import { ContentRequest } from '../http/request/upload-fields';
import { QuotaLedger } from '../content/quota-ledger';

/** A content as it comes. `declaredBytes` is what the client says that it will be, where it does. */
export interface ArrivingContent {
  readonly content: AsyncIterable<ChunkBatch>;
  readonly declaredBytes: number | undefined;
}

/**
 * A new version of a file, all or nothing: a place in the row, then the blob, durable, then the share of the quota, and by one conditional
 * write the new version takes the place of the old one, which is kept (docs/files.md).
 */
@Injectable()
export class FileReplacements {
  constructor(
    private readonly access: FileAccess,
    private readonly incoming: IncomingContents,
    private readonly sealer: Sealer,
    private readonly usage: QuotaLedger,
    private readonly audit: AuditSink,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Bytes that a version may have. */
  get largest(): number {
    return this.config.files.maxSize;
  }

  /**
   * Refuses by what is known before the body is read: a form names what it brings only within.
   * @throws DomainError `file_not_found`, `permission_denied`, `precondition_failed`.
   */
  async check(caller: Principal, id: string, holds: Precondition): Promise<void> {
    const what = { action: 'file.replace', actor: caller.actor, resource: `file/${id}` } as const;
    await notedIfRefused(this.audit, what, async () => {
      const row = await this.access.owned(caller, { id });
      await requireHolds(this.sealer, row, holds);
    });
  }

  /**
   * `holds` is asked before a byte is read, and again in the write that makes the new version the current one.
   * @throws DomainError as FileUploads.upload, but `file_exists`; `file_not_found`, `permission_denied`, `precondition_failed`, `conflict`.
   */
  replace(
    caller: Principal,
    id: string,
    request: ContentRequest,
    arriving: ArrivingContent,
    holds: Precondition,
  ): Promise<ActiveFile> {
    const what = { action: 'file.replace', actor: caller.actor, resource: `file/${id}` } as const;
    return auditedAfterLook(this.audit, what, async (begin) => {
      const row = await this.access.owned(caller, { id });
      const limits = { largest: this.largest, quota: await this.usage.left(row.owner_id) };
      await requireHolds(this.sealer, row, holds);
      checkSize(arriving.declaredBytes ?? 0, limits);
      await begin();
      const incoming = await this.place(id, request, holds);
      try {
        const content = whileAdmitted(caller, limited(arriving.content, limits));
        return await this.fill(incoming, request, content, holds);
      } catch (error) {
        await this.incoming.abandon(incoming);
        throw error;
      }
    });
  }

  private async place(id: string, { clientEncrypted }: ContentRequest, holds: Precondition): Promise<IncomingContent> {
    const incoming = await this.incoming.open(id, (keys, row) => {
      holds(...currentTags(keys, row));
      return { version: nextVersion(row), clientEncrypted, rekeyed: false };
    });
    if (incoming === undefined) throw new TypeError('a planned content without a place');
    return incoming;
  }

  private async fill(
    incoming: IncomingContent,
    request: ContentRequest,
    content: AsyncIterable<ChunkBatch>,
    holds: Precondition,
  ): Promise<ActiveFile> {
    const summary = await this.incoming.write(incoming, content);
    failpoint('file.incoming-stored');
    checkDigest(summary, request);
    const mark = usageMark(incoming.fileId, incoming.version);
    await this.usage.add(incoming.ownerId, mark, summary.plaintextSize);
    failpoint('file.incoming-counted');
    const row = await this.incoming.swap(incoming, (keys, current, content, stamp) => {
      holds(...currentTags(keys, current));
      return withVersion(
        keys,
        current,
        { content, stamp, filled: filledBy(keys, current, { content, summary, request }) },
        request,
      );
    });
    if (row === undefined) throw new TypeError('a new version without a row');
    // The version is there: a mark that stays is for the sweeper.
    await this.usage.settleAdded(incoming.ownerId, mark).catch(() => undefined);
    return row;
  }
}

interface Arrived {
  readonly content: OtherContent;
  readonly summary: FileSummary;
  readonly request: ContentRequest;
}

/** Where no media type is said, the new version has that of the one before. */
function filledBy(keys: OwnerKeys, row: ActiveFile, { content, summary, request }: Arrived): FilledContent {
  const contentType = request.contentType ?? openFacts(keys, row).contentType;
  const facts = { contentType, sha256: summary.sha256, envelope: request.envelope };
  return {
    meta: sealFacts(keys, { _id: row._id, version: content.version }, facts),
    size: summary.plaintextSize,
    encrypted_size: summary.encryptedSize,
  };
}

function withVersion(
  keys: OwnerKeys,
  row: ActiveFile,
  { content, filled, stamp }: { readonly content: OtherContent; readonly filled: FilledContent; readonly stamp: Stamp },
  { expiresInMs }: ContentRequest,
): ActiveFile {
  return {
    ...replaced(row, content, filled, stamp),
    seal_version: Math.min(row.seal_version, keys.version),
    ...(expiresInMs !== undefined && { expires_at: stamp.heartbeat_at + expiresInMs }),
  };
}
