import { Injectable } from '@nestjs/common';
import { Clock, Principal, Turns, admitsName, isDomainError, mapInTurns, retryOnStaleKey } from '../../kernel';
import { OwnerKeys, Sealer } from '../../keys/user-keys';
import { Collection, Position, Store } from '../../store';
import { FilePage, ListedFile, showFile, showTrashed } from '../model/file';
import { FileDoc, fileCollection, isInTrash, isVisible } from '../model/file.collection';
import { GetFile } from './get-file';
import { FileSharing } from './share-file';

/** Rows as they were read: undefined where a row is not visible. */
interface RowPage {
  readonly rows: readonly (ListedFile | undefined)[];
  readonly next: Position | undefined;
}

interface Matching {
  readonly limit: number;
  readonly after: Position | undefined;
  readonly matches: (file: ListedFile) => boolean;
}

const CHUNK = 200;
/** A request opens no more names than these to compare them. */
const MAX_OPENED = 1_000;

/**
 * The files that match, in the order of `read`. Only the last row of a page has a position, so a
 * chunk with too many matches is read again, shorter.
 */
async function matchingPage(
  read: (limit: number, after: Position | undefined) => Promise<RowPage>,
  { limit, after: start, matches }: Matching,
): Promise<FilePage> {
  const files: ListedFile[] = [];
  let after = start;
  let size = CHUNK;
  for (let opened = 0; opened < MAX_OPENED;) {
    const page = await read(Math.min(size, MAX_OPENED - opened), after);
    opened += Math.max(1, page.rows.length);
    const found = page.rows.flatMap((file, index) => (file !== undefined && matches(file) ? [{ file, index }] : []));
    const beyond = found[limit - files.length];
    if (beyond !== undefined) {
      size = beyond.index;
      continue;
    }
    files.push(...found.map(({ file }) => file));
    after = page.next;
    if (after === undefined || files.length === limit) break;
  }
  return { files, next: after };
}

/**
 * The caller's own files, those in the caller's trash, or those of others that were granted to the
 * caller.
 */
export type ListKind = 'own' | 'trash' | 'shared';

export interface ListChoice {
  readonly limit: number;
  readonly after: Position | undefined;
  /** Only files whose names begin so. */
  readonly prefix?: string | undefined;
  /** Only files of exactly this name: in the trash there may be several. */
  readonly name?: string | undefined;
  /** Only files in the trash. */
  readonly trash?: boolean;
}

const ROWS_AT_ONCE = 50;

/** Lists files. Names are encrypted, so a search by name opens them, up to a limit. */
@Injectable()
export class ListFiles {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly files: GetFile,
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

  /**
   * Oldest first. A page may hold fewer files than `limit`, even none, and still have a next one.
   */
  async list(caller: Principal, { limit, after, prefix, name, trash = false }: ListChoice): Promise<FilePage> {
    const state = trash ? 'trashed' : 'active';
    const read = (size: number, from: Position | undefined) =>
      retryOnStaleKey(() => this.#rows(caller, state, size, from));
    if (prefix !== undefined || name !== undefined || caller.within !== undefined) {
      const matches = (file: ListedFile): boolean =>
        file.name?.startsWith(prefix ?? '') === true &&
        file.name === (name ?? file.name) &&
        admitsName(caller, file.name);
      return matchingPage(read, { limit, after, matches });
    }
    const { rows, next } = await read(limit, after);
    return { files: rows.filter((file) => file !== undefined), next };
  }

  /** The file of exactly this name, if there is one. */
  async listNamed(caller: Principal, name: string, prefix = ''): Promise<FilePage> {
    if (!name.startsWith(prefix) || !admitsName(caller, name)) return { files: [], next: undefined };
    try {
      return { files: [await this.files.get(caller, { name })], next: undefined };
    } catch (error) {
      if (isDomainError(error, 'file_not_found')) return { files: [], next: undefined };
      throw error;
    }
  }

  async #rows(
    caller: Principal,
    state: 'active' | 'trashed',
    limit: number,
    after: Position | undefined,
  ): Promise<RowPage> {
    const page = await this.#read(['owner', caller.ownerId, state], limit, after);
    if (page.rows.length === 0) return { rows: [], next: page.next };
    const now = this.clock.now();
    const show = (keys: OwnerKeys, row: FileDoc): ListedFile | undefined => {
      if (isInTrash(row, now)) return showTrashed(keys, row);
      return isVisible(row, now) ? showFile(keys, row) : undefined;
    };
    const rows = await this.sealer.with(caller.ownerId, (keys) => mapInTurns(page.rows, (row) => show(keys, row)));
    return { rows, next: page.next };
  }

  /** A few rows at a time: to verify the MACs of all at once would block the event loop. */
  async #read([index, ...prefix]: readonly [string, string, string], limit: number, start: Position | undefined) {
    const rows: FileDoc[] = [];
    const turns = new Turns();
    let next = start;
    do {
      const options = {
        limit: Math.min(ROWS_AT_ONCE, limit - rows.length),
        ...(next !== undefined && { after: next }),
      };
      const page = await this.#files.list(index, prefix, options);
      rows.push(...page.items);
      next = page.next;
      await turns.pause();
    } while (next !== undefined && rows.length < limit);
    return { rows, next };
  }
}
