import { Injectable } from '@nestjs/common';
import { AuditSink, DomainError, Principal, auditedAfterLook, burstsOf, isoTime, retryOnStaleKey } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { ContentStore } from '../content/content-store';
import { Precondition, contentTag, requireHolds } from '../model/etag';
import { fileNotFound } from '../model/file';
import { openFacts } from '../model/file-encryption';
import { ActiveFile } from '../model/file.collection';
import { atVersion, versionsOf } from '../model/versions';
import { FileAccess } from './access';
import { FileRemoval } from './delete-file';
import { ReplaceContent } from './replace-content';

/** One version of a file, as the API gives it. */
export interface VersionView {
  readonly version: number;
  readonly size: number;
  readonly content_type: string;
  readonly sha256: string;
  readonly created_at: string;
  readonly encrypted_size: number;
  readonly client_encrypted: boolean;
  readonly current: boolean;
}

/** The versions that a file keeps, for its owner alone. Grantees read the current one. */
@Injectable()
export class FileVersions {
  constructor(
    private readonly access: FileAccess,
    private readonly sealer: Sealer,
    private readonly contents: ContentStore,
    private readonly replacements: ReplaceContent,
    private readonly removal: FileRemoval,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Newest first, all of them.
   * @throws DomainError `file_not_found`, `permission_denied`, `decryption_failed`.
   */
  async list(caller: Principal, id: string): Promise<readonly VersionView[]> {
    return retryOnStaleKey(async () => {
      const row = await this.access.owned(caller, { id });
      return this.sealer.with(row.owner_id, (keys) =>
        versionsOf(row).map((version) => {
          const { contentType, sha256 } = openFacts(keys, version);
          return viewOf(version, { content_type: contentType, sha256, current: version.version === row.version });
        }),
      );
    });
  }

  /**
   * Removes an earlier version for good. `holds` is asked in that write, for the tags of the
   * version and of the file.
   * @throws DomainError `file_not_found`, `permission_denied`, `precondition_failed`, `conflict`
   * for the current one.
   */
  async remove(caller: Principal, id: string, version: number, holds?: Precondition): Promise<void> {
    const what = {
      action: 'file.version-delete',
      actor: caller.actor,
      resource: `file/${id}`,
      details: { version },
    } as const;
    await auditedAfterLook(this.audit, what, async (begin) => {
      await this.#former(caller, id, version);
      await begin();
      const { found } = await this.removal.dropContents(
        id,
        (content) => content.version === version && content.state === 'former',
        async (row) => this.#check(row as ActiveFile, version, holds),
      );
      if (!found) throw fileNotFound();
    });
  }

  async #check(row: ActiveFile, version: number, holds: Precondition | undefined): Promise<void> {
    await requireHolds(this.sealer, row, holds, contentTag({ _id: row._id, version }));
  }

  /**
   * The content of an earlier version as a new one.
   * @throws DomainError as ReplaceContent.replace, `conflict` for the current one.
   */
  async restore(caller: Principal, id: string, version: number, holds: Precondition): Promise<ActiveFile> {
    const row = await this.#former(caller, id, version);
    const facts = await this.sealer.with(row.owner_id, (keys) => openFacts(keys, row));
    const target = await this.replacements.look(caller, id, holds);
    const content = await this.contents.read(row, undefined);
    try {
      const arriving = { body: burstsOf(content), declaredBytes: row.size };
      const request = { ...facts, clientEncrypted: row.client_encrypted, expiresInMs: undefined };
      return await this.replacements.replace(caller, target, request, arriving, holds);
    } finally {
      content.destroy();
    }
  }

  async #former(caller: Principal, id: string, version: number): Promise<ActiveFile> {
    const row = await this.access.owned(caller, { id });
    if (version === row.version) {
      throw new DomainError('conflict', { detail: 'This is the current version of the file.' });
    }
    const former = atVersion(row, version);
    if (former === undefined) throw fileNotFound();
    return former;
  }
}

const viewOf = (
  row: ActiveFile,
  { content_type, sha256, current }: Pick<VersionView, 'content_type' | 'sha256' | 'current'>,
): VersionView => ({
  version: row.version,
  size: row.size,
  content_type,
  sha256,
  created_at: isoTime(row.modified_at),
  encrypted_size: row.encrypted_size,
  client_encrypted: row.client_encrypted,
  current,
});
