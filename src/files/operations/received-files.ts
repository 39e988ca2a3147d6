import { Injectable } from '@nestjs/common';
import { Clock, Principal, pickInTurns } from '../../kernel/index';
import { Sealer, openedName } from '../../keys/user-keys/index';
import { ReceivedGrant, ReceivedGrants } from '../../sharing/index';
import { Collection, Position, Store } from '../../store/index';
import { openName } from '../model/file-encryption';
import { FileDoc, fileCollection, isVisible } from '../model/file.collection';

export interface ReceivedFile {
  readonly id: string;
  readonly file_id: string;
  /** Null for a file without a name, and where the stored name does not open. */
  readonly name: string | null;
  readonly owner: string;
  readonly expires_at: string | null;
}

/** Grants of files to the caller, as the caller sees and declines them. */
@Injectable()
export class ReceivedFiles {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly received: ReceivedGrants,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /** Oldest grant first, those that hold. A page may hold fewer than `limit`, even none, and still have a next one. */
  async list(caller: Principal, page: { readonly limit: number; readonly after: Position | undefined }) {
    const { grants, next } = await this.received.list(caller, { type: 'file', ...page });
    return { files: await pickInTurns(grants, (grant) => this.#view(grant)), next };
  }

  /** @throws DomainError `not_found`, also for a grant to somebody else. */
  decline(caller: Principal, grantId: string): Promise<void> {
    return this.received.decline(caller, 'file', grantId);
  }

  /** Undefined for a file that its grantee does not see now: expired, in the trash, gone. */
  async #view({ id, resource, owner, expires_at }: ReceivedGrant): Promise<ReceivedFile | undefined> {
    const row = await this.#files.find('_id', resource.id);
    if (!isVisible(row, this.clock.now()) || row.owner_id !== resource.ownerId) return undefined;
    const name =
      row.name_index === undefined ? null : await openedName(this.sealer, row.owner_id, (keys) => openName(keys, row));
    return name === undefined ? undefined : { id, file_id: row._id, name, owner, expires_at };
  }
}
