import { Injectable } from '@nestjs/common';
import { Principal, admitsName, isDomainError, pickInTurns, retryOnStaleKey } from '../../kernel';
import { Sealer, openedName } from '../../keys/user-keys';
import { GrantView, GrantedResources, Grants, NewGrant, ReceivedGrant, ReceivedGrants } from '../../sharing';
import { Position } from '../../store';
import { FilePage, FileView, showFile } from '../model/file';
import { openName } from '../model/file-encryption';
import { FileAccess, asResource } from './access';

interface PageChoice {
  readonly limit: number;
  readonly after: Position | undefined;
}

/** A grant of a file to the caller. */
export interface ReceivedFile {
  readonly id: string;
  readonly file_id: string;
  /** Null for a file without a name, and where the stored name does not open. */
  readonly name: string | null;
  readonly owner: string;
  readonly expires_at: string | null;
}

/** Grants of files: those that owners give, and those that a caller has received. */
@Injectable()
export class FileSharing {
  constructor(
    private readonly access: FileAccess,
    private readonly grants: Grants,
    private readonly granted: GrantedResources,
    private readonly received: ReceivedGrants,
    private readonly sealer: Sealer,
  ) {}

  /**
   * @throws DomainError `file_not_found`, `permission_denied` (a grantee), and as `Grants.create`.
   */
  async grant(caller: Principal, id: string, grant: NewGrant): Promise<GrantView> {
    const resource = asResource(await this.access.owned(caller, { id }));
    const view = await this.grants.create(caller, resource, grant);
    // A file that was removed meanwhile may have lost its grants before this one came. Grants of a
    // file in the trash stay.
    await this.access.owned(caller, { id }).catch(async (gone: unknown) => {
      if (!isDomainError(gone, 'file_not_found')) throw gone;
      if (await this.access.isKept(id)) return;
      await this.grants.forget(resource);
      throw gone;
    });
    return view;
  }

  /** @throws DomainError `file_not_found`, `permission_denied`. */
  async list(caller: Principal, id: string, page: PageChoice) {
    return this.grants.list(asResource(await this.access.owned(caller, { id })), page);
  }

  /**
   * @throws DomainError `file_not_found`, `permission_denied`, `not_found` (no such grant of this
   * file).
   */
  async revoke(caller: Principal, id: string, grantId: string): Promise<void> {
    await this.grants.revoke(caller, asResource(await this.access.owned(caller, { id })), grantId);
  }

  /**
   * Files that were granted to the caller, each once, oldest grant first. A page may hold fewer
   * files than `limit`.
   */
  async listShared(caller: Principal, page: PageChoice): Promise<FilePage> {
    const { resources, next } = await this.granted.list(caller.ownerId, { type: 'file', ...page });
    const show = ({ id, ownerId }: { id: string; ownerId: string }) => retryOnStaleKey(() => this.#show(id, ownerId));
    const files = await pickInTurns(resources, show);
    return { files: files.filter(({ name }) => admitsName(caller, name)), next };
  }

  /**
   * Grants to the caller that are valid, oldest first. A page may hold fewer than `limit`, even
   * none, and still have a next one.
   */
  async listReceived(caller: Principal, page: PageChoice) {
    const { grants, next } = await this.received.list(caller, { type: 'file', ...page });
    const files = await pickInTurns(grants, (grant) => this.#receivedFile(grant));
    return { files: files.filter(({ name }) => admitsName(caller, name)), next };
  }

  /** @throws DomainError `not_found`, also for a grant to somebody else. */
  decline(caller: Principal, grantId: string): Promise<void> {
    return this.received.decline(caller, 'file', grantId);
  }

  async #show(id: string, ownerId: string): Promise<FileView | undefined> {
    const row = await this.access.visible(id, ownerId);
    if (row === undefined) return undefined;
    try {
      return await this.sealer.with(ownerId, (keys) => showFile(keys, row));
    } catch (error) {
      // The owner is being erased at this moment: the key is gone.
      if (isDomainError(error, 'not_found')) return undefined;
      throw error;
    }
  }

  /** Undefined for a file that its grantee does not see now: expired, in the trash, gone. */
  #receivedFile({ id, resource, owner, expires_at }: ReceivedGrant): Promise<ReceivedFile | undefined> {
    return retryOnStaleKey(async () => {
      const row = await this.access.visible(resource.id, resource.ownerId);
      if (row === undefined) return undefined;
      const isUnnamed = row.name_index === undefined;
      const name = isUnnamed ? null : await openedName(this.sealer, row.owner_id, (keys) => openName(keys, row));
      return name === undefined ? undefined : { id, file_id: row._id, name, owner, expires_at };
    });
  }
}
