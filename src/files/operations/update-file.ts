import { Injectable } from '@nestjs/common';
import {
  AuditAction,
  AuditSink,
  BeginAct,
  Clock,
  DomainError,
  Principal,
  SECOND,
  auditedAfterLook,
  failpoint,
  requireName,
} from '../../kernel';
import { OwnerKeys, Sealer } from '../../keys/user-keys';
import { retryOnConflict } from '../../store';
import { Precondition, currentTags } from '../model/etag';
import { FileName, fileName, fileNotFound, isMediaType } from '../model/file';
import { openFacts, openName, sealFacts, sealName } from '../model/file-encryption';
import { ActiveFile, TrashedFile } from '../model/file.collection';
import { FileAccess } from './access';
import { PendingFiles } from './pending-file';

/**
 * Changes a file's metadata, each by one conditional write of a row that was read before the key
 * row (wrap protocol).
 */
@Injectable()
export class UpdateFile {
  constructor(
    private readonly access: FileAccess,
    private readonly sealer: Sealer,
    private readonly names: PendingFiles,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {}

  /**
   * `holds` is asked in each attempt.
   * @throws DomainError `file_not_found`, `permission_denied`, `precondition_failed`,
   * `file_exists`, `conflict`.
   */
  change(caller: Principal, id: string, change: FileChange, holds: Precondition): Promise<ActiveFile> {
    return this.#audited('file.change', caller, id, async (begin) => {
      const row = await this.access.owned(caller, { id });
      if (change.name !== undefined) requireName(caller, change.name);
      const changed = await this.sealer.with(row.owner_id, (keys) => {
        holds(...currentTags(keys, row));
        return this.#changed(keys, row, change);
      });
      if (changed.name_index !== row.name_index) await this.names.refuseTaken(changed);
      await begin();
      return this.names.claimName(changed);
    });
  }

  /**
   * Restores a file from the trash, under its name or a new one.
   * @throws DomainError `file_not_found` (not in the trash), `file_exists`, `conflict`.
   */
  restore(caller: Principal, id: string, name: FileName | undefined): Promise<ActiveFile> {
    return this.#audited('file.restore', caller, id, async (begin) => {
      const row = await this.access.trashed(caller, id);
      if (row === undefined) throw fileNotFound();
      if (name !== undefined) requireName(caller, name);
      const restored = await this.sealer.with(row.owner_id, (keys) => restoredAs(keys, row, name));
      await this.names.refuseTaken(restored);
      await begin();
      const stored = await this.names.claimName(restored);
      failpoint('file.restored');
      return stored;
    });
  }

  #changed(keys: OwnerKeys, row: ActiveFile, { name, expiresInMs, contentType }: FileChange): ActiveFile {
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

  #audited(
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

/** A change of a file, parsed. Undefined fields stay. */
export interface FileChange {
  readonly name: FileName | undefined;
  /** From now on; null removes the expiry. */
  readonly expiresInMs: number | null | undefined;
  readonly contentType: string | undefined;
}

/** @throws DomainError `validation_failed` */
export function parseChange(fields: {
  readonly name?: string;
  readonly expires_in?: number | null;
  readonly content_type?: string;
}): FileChange {
  const { name, expires_in: seconds, content_type: contentType } = fields;
  if (contentType !== undefined && !isMediaType(contentType)) throw unfit('/content_type', 'must be a media type');
  return {
    name: parseName(name),
    expiresInMs: typeof seconds === 'number' ? seconds * SECOND : seconds,
    contentType,
  };
}

/** @throws DomainError `validation_failed` */
export function parseName(name: string | undefined): FileName | undefined {
  if (name === undefined) return undefined;
  const parsed = fileName(name);
  if ('fault' in parsed) throw unfit('/name', parsed.fault);
  return parsed.name;
}

const unfit = (pointer: string, message: string): DomainError =>
  new DomainError('validation_failed', { fields: [{ pointer, message }] });
