import { Injectable } from '@nestjs/common';
import { Clock, Principal, isDomainError } from '../kernel';
import { Sealer } from '../keys/user';
import { ReceivedGrant, ReceivedGrants } from '../sharing';
import { Collection, Position, Store } from '../store';
import { openName } from './file-cipher';
import { ActiveFile, FileDoc, fileCollection, isVisible } from './file.collection';

export interface ReceivedFile {
  readonly id: string;
  readonly file_id: string;
  /** Null for a file without a name, and where the stored name does not open. */
  readonly name: string | null;
  readonly owner: string;
  readonly expires_at: string | null;
}

/** Files looked up at once. */
const AT_ONCE = 16;

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
    const views: ReceivedFile[] = [];
    for (let at = 0; at < grants.length; at += AT_ONCE) {
      const some = await Promise.all(grants.slice(at, at + AT_ONCE).map((grant) => this.#view(grant)));
      views.push(...some.filter((view) => view !== undefined));
    }
    return { files: views, next };
  }

  /** @throws DomainError `not_found`, also for a grant to somebody else. */
  decline(caller: Principal, grantId: string): Promise<void> {
    return this.received.decline(caller, 'file', grantId);
  }

  /** Undefined for a file that its grantee does not see now: expired, in the trash, gone. */
  async #view({ id, resource, owner, expires_at }: ReceivedGrant): Promise<ReceivedFile | undefined> {
    const row = await this.#files.find('_id', resource.id);
    if (!isVisible(row, this.clock.now()) || row.owner_id !== resource.ownerId) return undefined;
    const name = await this.#nameOf(row);
    return name === undefined ? undefined : { id, file_id: row._id, name, owner, expires_at };
  }

  async #nameOf(row: ActiveFile): Promise<string | null | undefined> {
    if (row.name_index === undefined) return null;
    try {
      return await this.sealer.with(row.owner_id, (keys) => openName(keys, row));
    } catch (error) {
      if (isDomainError(error, 'decryption_failed')) return null;
      // Its owner is being erased at this moment: the key is gone.
      if (isDomainError(error, 'not_found')) return undefined;
      throw error;
    }
  }
}
