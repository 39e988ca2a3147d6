import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { FileSummary } from '../../crypto';
import { AuditSink, ChunkBatch, Principal, auditedAfterLook, failpoint, notedIfRefused } from '../../kernel';
import { OwnerKeys, Sealer } from '../../keys/user-keys';
import { checkSize, enforceLimits, requireAdmitted } from '../content/pipeline';
import { QuotaLedger } from '../content/quota-ledger';
import { Precondition, currentTags, requireHolds } from '../model/etag';
import { ContentRequest } from '../model/file';
import { openFacts, sealFacts } from '../model/file-encryption';
import { ActiveFile, OtherContent } from '../model/file.collection';
import { FilledContent, Stamp, nextVersion, replaced, usageMark } from '../model/versions';
import { FileAccess } from './access';
import { checkDigest } from './create-file';
import { IncomingContent, StagedContents } from './staged-content';

/** A content as it comes. `declaredBytes` is the size that the client announces. */
export interface ArrivingContent {
  readonly body: AsyncIterable<ChunkBatch>;
  readonly declaredBytes: number | undefined;
}

/**
 * Stores a new version of a file, all or nothing: an entry in the row, then the blob, durable, then
 * the share of the quota, then one conditional write that makes it the current version.
 */
@Injectable()
export class ReplaceContent {
  constructor(
    private readonly access: FileAccess,
    private readonly staged: StagedContents,
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
   * Refuses by what is known before the body is read: a form describes its content only inside.
   * @throws DomainError `file_not_found`, `permission_denied`, `precondition_failed`.
   */
  async look(caller: Principal, id: string, holds: Precondition): Promise<ActiveFile> {
    return notedIfRefused(this.audit, intent(caller, id), async () => {
      const row = await this.access.owned(caller, { id });
      await requireHolds(this.sealer, row, holds);
      return row;
    });
  }

  /**
   * Replaces the content of a file that `look` returned. `holds` is asked again in both writes of
   * the row.
   * @throws DomainError as CreateFile.upload, but `file_exists`; `file_not_found`,
   * `precondition_failed`, `conflict`.
   */
  replace(
    caller: Principal,
    { _id: id, owner_id: ownerId }: Pick<ActiveFile, '_id' | 'owner_id'>,
    request: ContentRequest,
    arriving: ArrivingContent,
    holds: Precondition,
  ): Promise<ActiveFile> {
    return auditedAfterLook(this.audit, intent(caller, id), async (begin) => {
      const limits = { largest: this.largest, quota: await this.usage.left(ownerId) };
      checkSize(arriving.declaredBytes ?? 0, limits);
      await begin();
      const incoming = await this.#open(id, request, holds);
      try {
        const guards = [enforceLimits(limits), requireAdmitted(caller)];
        const summary = await this.staged.write(incoming, arriving.body, ...guards);
        failpoint('file.incoming-stored');
        checkDigest(summary, request);
        return await this.#makeCurrent(incoming, request, summary, holds);
      } catch (error) {
        await this.staged.abandon(incoming);
        throw error;
      }
    });
  }

  async #open(id: string, { clientEncrypted }: ContentRequest, holds: Precondition): Promise<IncomingContent> {
    const incoming = await this.staged.open(id, (keys, row) => {
      holds(...currentTags(keys, row));
      return { version: nextVersion(row), clientEncrypted, rekeyed: false };
    });
    if (incoming === undefined) throw new TypeError('a planned content without an entry');
    return incoming;
  }

  async #makeCurrent(
    incoming: IncomingContent,
    request: ContentRequest,
    summary: FileSummary,
    holds: Precondition,
  ): Promise<ActiveFile> {
    const mark = usageMark(incoming.fileId, incoming.version);
    await this.usage.add(incoming.ownerId, mark, summary.plaintextSize);
    failpoint('file.incoming-counted');
    const row = await this.staged.swap(incoming, (keys, current, content, stamp) => {
      holds(...currentTags(keys, current));
      return withVersion(
        keys,
        current,
        { content, stamp, filled: filledBy(keys, current, { content, summary, request }) },
        request,
      );
    });
    if (row === undefined) throw new TypeError('a new version without a row');
    // The version is visible: the sweeper settles a mark that stays.
    await this.usage.settleAdded(incoming.ownerId, mark).catch(() => undefined);
    return row;
  }
}

const intent = (caller: Principal, id: string) =>
  ({ action: 'file.replace', actor: caller.actor, resource: `file/${id}` }) as const;

interface Arrived {
  readonly content: OtherContent;
  readonly summary: FileSummary;
  readonly request: ContentRequest;
}

/** A new version without a media type keeps that of the previous one. */
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
