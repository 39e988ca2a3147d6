import { Injectable } from '@nestjs/common';
import { Clock, Principal, isDomainError, pickInTurns } from '../../kernel/index';
import { Sealer } from '../../keys/user-keys/index';
import { GrantView, GrantedResources, Grants, NewGrant } from '../../sharing/index';
import { Collection, Position, Store } from '../../store/index';
import { FileAccess, asResource } from './access';
import { FilePage } from './file-pages';
import { FileView, showFile } from '../model/file-view';
import { FileDoc, fileCollection, isVisible } from '../model/file.collection';

interface PageChoice {
  readonly limit: number;
  readonly after: Position | undefined;
}

/** Grants of files: who may be given what is decided here, by whose file it is. */
@Injectable()
export class FileSharing {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly access: FileAccess,
    private readonly grants: Grants,
    private readonly granted: GrantedResources,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /** @throws DomainError `file_not_found`, `permission_denied` (a grantee), and as `Grants.create`. */
  async grant(caller: Principal, id: string, grant: NewGrant): Promise<GrantView> {
    const resource = asResource(await this.access.owned(caller, { id }));
    const view = await this.grants.create(caller, resource, grant);
    // A file that went meanwhile may have forgotten its grants before this one came; in the trash they rest.
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

  /** @throws DomainError `file_not_found`, `permission_denied`, `not_found` (no such grant of this file). */
  async revoke(caller: Principal, id: string, grantId: string): Promise<void> {
    await this.grants.revoke(caller, asResource(await this.access.owned(caller, { id })), grantId);
  }

  /** Files that were granted to the caller, each once, oldest grant first. A page may hold fewer files than `limit`. */
  async listShared(caller: Principal, page: PageChoice): Promise<FilePage> {
    const { resources, next } = await this.granted.list(caller.ownerId, { type: 'file', ...page });
    return { files: await pickInTurns(resources, ({ id, ownerId }) => this.show(id, ownerId)), next };
  }

  private async show(id: string, ownerId: string): Promise<FileView | undefined> {
    const row = await this.#files.find('_id', id);
    if (!isVisible(row, this.clock.now()) || row.owner_id !== ownerId) return undefined;
    try {
      return await this.sealer.with(ownerId, (keys) => showFile(keys, row));
    } catch (error) {
      // Its owner is being erased at this moment: the key is gone.
      if (isDomainError(error, 'not_found')) return undefined;
      throw error;
    }
  }
}
