import { Position } from '../collection';

/**
 * Replacement for invalid UTF-8. The server orders such a text by its raw bytes, so a list cannot
 * continue from the text that was read.
 */
const UNREADABLE = '\ufffd';

/** Start of a page: after a row whose values were read unchanged, plus a number of rows to skip. */
export interface PageStart {
  readonly after?: Position;
  readonly skip: number;
}

export function pageStart(position: Position | undefined): PageStart {
  const [, after = '', skipped] = /^(.*)#(\d{1,9})$/s.exec(position ?? '') ?? [];
  if (skipped !== undefined) return { ...(after === '' ? {} : { after }), skip: Number(skipped) };
  return { ...(position === undefined ? {} : { after: position }), skip: 0 };
}

/** True if a list can continue from this position, because its row was read unchanged. */
export const isReadable = (position: Position): boolean => !position.includes(UNREADABLE);

/**
 * The start of the next page. `positions` are those of the rows shown, computed from the values
 * read; planted rows are skipped.
 */
export function nextPosition(start: PageStart, positions: readonly Position[]): Position {
  const at = positions.findLastIndex(isReadable);
  const after = positions[at];
  const skip = after === undefined ? start.skip + positions.length : positions.length - 1 - at;
  if (skip === 0 && after !== undefined) return after;
  return `${after ?? start.after ?? ''}#${skip}`;
}
