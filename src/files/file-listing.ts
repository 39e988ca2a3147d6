import { Injectable } from '@nestjs/common';
import { Clock, Principal, isDomainError } from '../kernel';
import { OwnerKeys, Sealer } from '../keys/user';
import { Collection, Position, Store } from '../store';
import { FilePage, RowPage, matchingPage } from './file-pages';
import { showFile } from './file-view';
import { FileDoc, fileCollection, isVisible } from './file.collection';
import { FilesService } from './files.service';

export interface ListChoice {
  readonly limit: number;
  readonly after: Position | undefined;
  /** Only files whose names begin so. */
  readonly prefix?: string | undefined;
}

/** Lists of files. Names are sealed, so what asks for names opens them, up to a limit. */
@Injectable()
export class FileListing {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly files: FilesService,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /** Oldest first. A page may hold fewer files than `limit`, even none, and still have a next one. */
  async list(caller: Principal, { limit, after, prefix }: ListChoice): Promise<FilePage> {
    const read = (size: number, from: Position | undefined) => this.rows(caller, size, from);
    if (prefix !== undefined) {
      return matchingPage(read, { limit, after, matches: (file) => file.name?.startsWith(prefix) === true });
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

  private async rows(caller: Principal, limit: number, after: Position | undefined): Promise<RowPage> {
    const options = { limit, ...(after !== undefined && { after }) };
    const page = await this.#files.list('owner', [caller.userId, 'active'], options);
    const now = this.clock.now();
    const shown = (keys: OwnerKeys) => page.items.map((row) => (isVisible(row, now) ? showFile(keys, row) : undefined));
    return { rows: await this.sealer.with(caller.userId, shown), next: page.next };
  }
}
