import { Injectable } from '@nestjs/common';
import { Clock, Principal, isDomainError } from '../kernel';
import { OwnerKeys, Sealer } from '../keys/user';
import { Collection, Position, Store } from '../store';
import { FilePage, RowPage, matchingPage } from './file-pages';
import { FileSharing } from './file-sharing';
import { ListedFile, showFile, showTrashed } from './file-view';
import { FileDoc, fileCollection, isInTrash, isVisible } from './file.collection';
import { FilesService } from './files.service';

/** Which files: the caller's own, those in the caller's trash, those of others that were granted to the caller. */
export type ListKind = 'own' | 'trash' | 'shared';

export interface ListChoice {
  readonly limit: number;
  readonly after: Position | undefined;
  /** Only files whose names begin so. */
  readonly prefix?: string | undefined;
  /** Only files of exactly this name: in the trash there may be several. */
  readonly name?: string | undefined;
  /** What is in the trash, and nothing else. */
  readonly trash?: boolean;
}

/** Lists of files. Names are sealed, so what asks for names opens them, up to a limit. */
@Injectable()
export class FileListing {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly files: FilesService,
    private readonly sharing: FileSharing,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  page(
    caller: Principal,
    { kind, ...choice }: Omit<ListChoice, 'trash'> & { readonly kind: ListKind },
  ): Promise<FilePage> {
    if (kind === 'shared') return this.sharing.listShared(caller, choice);
    const { name, prefix } = choice;
    if (kind === 'own' && name !== undefined) return this.listNamed(caller, name, prefix);
    return this.list(caller, { ...choice, trash: kind === 'trash' });
  }

  /** Oldest first. A page may hold fewer files than `limit`, even none, and still have a next one. */
  async list(caller: Principal, { limit, after, prefix, name, trash = false }: ListChoice): Promise<FilePage> {
    const state = trash ? 'trashed' : 'active';
    const read = (size: number, from: Position | undefined) => this.rows(caller, state, size, from);
    if (prefix !== undefined || name !== undefined) {
      const matches = (file: ListedFile): boolean =>
        file.name?.startsWith(prefix ?? '') === true && file.name === (name ?? file.name);
      return matchingPage(read, { limit, after, matches });
    }
    const { rows, next } = await read(limit, after);
    return { files: rows.filter((file) => file !== undefined), next };
  }

  /** The file of exactly this name, if there is one. */
  async listNamed(caller: Principal, name: string, prefix = ''): Promise<FilePage> {
    if (!name.startsWith(prefix)) return { files: [], next: undefined };
    try {
      return { files: [await this.files.get(caller, { name })], next: undefined };
    } catch (error) {
      if (isDomainError(error, 'file_not_found')) return { files: [], next: undefined };
      throw error;
    }
  }

  private async rows(
    caller: Principal,
    state: 'active' | 'trashed',
    limit: number,
    after: Position | undefined,
  ): Promise<RowPage> {
    const options = { limit, ...(after !== undefined && { after }) };
    const page = await this.#files.list('owner', [caller.userId, state], options);
    const now = this.clock.now();
    const show = (keys: OwnerKeys, row: FileDoc): ListedFile | undefined => {
      if (isInTrash(row, now)) return showTrashed(keys, row);
      return isVisible(row, now) ? showFile(keys, row) : undefined;
    };
    const rows = await this.sealer.with(caller.userId, (keys) => page.items.map((row) => show(keys, row)));
    return { rows, next: page.next };
  }
}
