import { Position } from '../../store/index';
import { ListedFile } from '../model/file-view';

export interface FilePage {
  readonly files: readonly ListedFile[];
  readonly next: Position | undefined;
}

/** Rows as they were read: undefined where a row is not to be seen. */
export interface RowPage {
  readonly rows: readonly (ListedFile | undefined)[];
  readonly next: Position | undefined;
}

export interface Matching {
  readonly limit: number;
  readonly after: Position | undefined;
  readonly matches: (file: ListedFile) => boolean;
}

const CHUNK = 200;
/** Names are sealed, so each has to be opened to be compared: a request opens no more than these. */
const MAX_OPENED = 1_000;

/** The files that match, in the order of `read`. Positions exist behind a row that ended a page only, so a chunk with too many is read again, shorter. */
export async function matchingPage(
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
