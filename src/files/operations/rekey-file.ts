import { Injectable } from '@nestjs/common';
import { AuditSink, DomainError, Principal, auditedAfterLook, burstsOf, failpoint } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { ContentStore } from '../content/content-store';
import { openFacts } from '../model/file-encryption';
import { ActiveFile } from '../model/file.collection';
import { atBlob, rekeyed, versionsOf } from '../model/versions';
import { FileAccess } from './access';
import { IncomingContent, StagedContents } from './staged-content';

/**
 * Gives each version of a file a new key: reads it and writes it again. Readers have the old
 * message until one conditional write replaces it, so a rekey may stop anywhere and be repeated.
 */
@Injectable()
export class RekeyFile {
  constructor(
    private readonly access: FileAccess,
    private readonly sealer: Sealer,
    private readonly contents: ContentStore,
    private readonly staged: StagedContents,
    private readonly audit: AuditSink,
  ) {}

  /**
   * @throws DomainError `file_not_found`, `permission_denied`, `decryption_failed`, `storage_full`,
   * `kms_unavailable`, `conflict`.
   */
  rekey(caller: Principal, id: string): Promise<ActiveFile> {
    const what = { action: 'file.rekey', actor: caller.actor, resource: `file/${id}` } as const;
    return auditedAfterLook(this.audit, what, async (begin) => {
      const row = await this.access.owned(caller, { id });
      await begin();
      for (const { blob_id } of versionsOf(row)) await this.#rekeyContent(caller, id, blob_id);
      return this.access.owned(caller, { id });
    });
  }

  /**
   * Does nothing where the version was removed meanwhile, or got its new key from another request.
   */
  async #rekeyContent(caller: Principal, id: string, blobId: string): Promise<void> {
    let old: ActiveFile | undefined;
    const incoming = await this.staged.open(id, (_keys, row) => {
      old = atBlob(row, blobId);
      return old && { version: old.version, clientEncrypted: old.client_encrypted, rekeyed: true };
    });
    if (incoming === undefined || old === undefined) return;
    try {
      if (!(await this.#fill(incoming, old))) await this.staged.abandon(incoming);
    } catch (error) {
      await this.staged.abandon(incoming);
      const row = await this.access.owned(caller, { id });
      if (atBlob(row, blobId) !== undefined) throw error;
    }
  }

  /** @returns false where the version is no longer under its old key. */
  async #fill(incoming: IncomingContent, old: ActiveFile): Promise<boolean> {
    const content = await this.contents.read(old, undefined);
    try {
      const summary = await this.staged.write(incoming, burstsOf(content));
      failpoint('file.rekey-stored');
      const { sha256 } = await this.sealer.with(old.owner_id, (keys) => openFacts(keys, old));
      if (sha256 !== summary.sha256) throw new DomainError('decryption_failed');
      const { encryptedSize: encrypted_size } = summary;
      const row = await this.staged.swap(incoming, (_keys, current, fresh, stamp) =>
        rekeyed(current, old.blob_id, fresh, { encrypted_size, ...stamp }),
      );
      return row !== undefined;
    } finally {
      content.destroy();
    }
  }
}
