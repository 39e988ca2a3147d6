import { Injectable } from '@nestjs/common';
import { AuditSink, DomainError, Principal, auditedAfterLook, burstsOf, failpoint } from '../../kernel/index';
import { Sealer } from '../../keys/user-keys/index';
import { atBlob, rekeyed, versionsOf } from '../model/versions';
import { FileAccess } from './access';
import { openFacts } from '../model/file-encryption';
import { FileContents } from '../content/content-store';
import { ActiveFile } from '../model/file.collection';
import { IncomingContent, IncomingContents } from './staged-content';

/**
 * New file keys: each version is read through and written once more, under a key of its own that is new. Readers have the old message until
 * the new one takes its place, one conditional write a version; so a rekey may stop anywhere, and be asked for again.
 */
@Injectable()
export class FileRekey {
  constructor(
    private readonly access: FileAccess,
    private readonly sealer: Sealer,
    private readonly contents: FileContents,
    private readonly incoming: IncomingContents,
    private readonly audit: AuditSink,
  ) {}

  /** @throws DomainError `file_not_found`, `permission_denied`, `decryption_failed`, `storage_full`, `kms_unavailable`, `conflict`. */
  rekey(caller: Principal, id: string): Promise<ActiveFile> {
    const what = { action: 'file.rekey', actor: caller.actor, resource: `file/${id}` } as const;
    return auditedAfterLook(this.audit, what, async (begin) => {
      const row = await this.access.owned(caller, { id });
      await begin();
      for (const { blob_id } of versionsOf(row)) await this.rekeyContent(caller, id, blob_id);
      return this.access.owned(caller, { id });
    });
  }

  /** Does nothing where the version has gone meanwhile, or has got its new key from somebody else. */
  private async rekeyContent(caller: Principal, id: string, blobId: string): Promise<void> {
    let old: ActiveFile | undefined;
    const incoming = await this.incoming.open(id, (_keys, row) => {
      old = atBlob(row, blobId);
      return old && { version: old.version, clientEncrypted: old.client_encrypted, rekeyed: true };
    });
    if (incoming === undefined || old === undefined) return;
    try {
      if (!(await this.fill(incoming, old))) await this.incoming.abandon(incoming);
    } catch (error) {
      await this.incoming.abandon(incoming);
      const row = await this.access.owned(caller, { id });
      if (atBlob(row, blobId) !== undefined) throw error;
    }
  }

  /** @returns false where the version is not under its old key any more. */
  private async fill(incoming: IncomingContent, old: ActiveFile): Promise<boolean> {
    const content = await this.contents.read(old, undefined);
    try {
      const summary = await this.incoming.write(incoming, burstsOf(content));
      failpoint('file.rekey-stored');
      const { sha256 } = await this.sealer.with(old.owner_id, (keys) => openFacts(keys, old));
      if (sha256 !== summary.sha256) throw new DomainError('decryption_failed');
      const { encryptedSize: encrypted_size } = summary;
      const row = await this.incoming.swap(incoming, (_keys, current, fresh, stamp) =>
        rekeyed(current, old.blob_id, fresh, { encrypted_size, ...stamp }),
      );
      return row !== undefined;
    } finally {
      content.destroy();
    }
  }
}
