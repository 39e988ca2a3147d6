import { Injectable } from '@nestjs/common';
import { AuditAction, AuditSink, BeginAct, Clock, Principal, auditedAfterLook, failpoint } from '../../kernel/index';
import { OwnerKeys, Sealer } from '../../keys/user-keys/index';
import { retryOnConflict } from '../../store/index';
import { FileChange } from './change-request';
import { FileAccess } from './access';
import { fileNotFound, openFacts, openName, sealFacts, sealName } from '../model/file-encryption';
import { FileName } from '../model/file-name';
import { Precondition, currentTags } from '../model/etag';
import { ActiveFile, TrashedFile } from '../model/file.collection';
import { NewFiles } from './pending-file';

/** Changes of what is said of a file. Each is one conditional write on a row that was read before the key row (wrap protocol). */
@Injectable()
export class FileChanges {
  constructor(
    private readonly access: FileAccess,
    private readonly sealer: Sealer,
    private readonly names: NewFiles,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {}

  /**
   * `holds` is asked in each attempt.
   * @throws DomainError `file_not_found`, `permission_denied`, `precondition_failed`, `file_exists`, `conflict`.
   */
  change(caller: Principal, id: string, change: FileChange, holds: Precondition): Promise<ActiveFile> {
    return this.audited('file.change', caller, id, async (begin) => {
      const row = await this.access.owned(caller, { id });
      const changed = await this.sealer.with(row.owner_id, (keys) => {
        holds(...currentTags(keys, row));
        return this.changed(keys, row, change);
      });
      if (changed.name_index !== row.name_index) await this.names.refuseTaken(changed);
      await begin();
      return this.names.claimName(changed);
    });
  }

  /**
   * Brings a file back from the trash, under its name or a new one.
   * @throws DomainError `file_not_found` (not in the trash), `file_exists`, `conflict`.
   */
  restore(caller: Principal, id: string, name: FileName | undefined): Promise<ActiveFile> {
    return this.audited('file.restore', caller, id, async (begin) => {
      const row = await this.access.trashed(caller, id);
      if (row === undefined) throw fileNotFound();
      const restored = await this.sealer.with(row.owner_id, (keys) => restoredAs(keys, row, name));
      await this.names.refuseTaken(restored);
      await begin();
      const stored = await this.names.claimName(restored);
      failpoint('file.restored');
      return stored;
    });
  }

  private changed(keys: OwnerKeys, row: ActiveFile, { name, expiresInMs, contentType }: FileChange): ActiveFile {
    const { expires_at: expiry, ...rest } = row;
    const expires_at =
      expiresInMs === undefined ? expiry : expiresInMs === null ? undefined : this.clock.now() + expiresInMs;
    return {
      ...rest,
      ...(name !== undefined && named(keys, row._id, name)),
      ...(contentType !== undefined && { meta: sealFacts(keys, row, { ...openFacts(keys, row), contentType }) }),
      ...(expires_at !== undefined && { expires_at }),
      seal_version: Math.min(row.seal_version, keys.version),
    };
  }

  private audited(
    action: AuditAction,
    caller: Principal,
    id: string,
    attempt: (begin: BeginAct) => Promise<unknown>,
  ): Promise<ActiveFile> {
    const what = { action, actor: caller.actor, resource: `file/${id}` };
    return auditedAfterLook(this.audit, what, (begin) => retryOnConflict(() => attempt(begin)) as Promise<ActiveFile>);
  }
}

const named = (keys: OwnerKeys, fileId: string, name: string) => ({
  name: sealName(keys, fileId, name),
  name_index: keys.nameIndex(name),
});

function restoredAs(keys: OwnerKeys, row: TrashedFile, name: FileName | undefined): ActiveFile {
  const { trashed_at: _since, purge_at: _until, ...rest } = row;
  return {
    ...rest,
    ...named(keys, row._id, name ?? openName(keys, row)),
    state: 'active',
    seal_version: Math.min(row.seal_version, keys.version),
  };
}
