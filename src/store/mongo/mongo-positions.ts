import { Position } from '../collection';

/** What a text that is no UTF-8 is read as. The server orders such a text by its bytes, so a list cannot go on behind what was read. */
const UNREADABLE = '\ufffd';

/** Where a page begins: behind a row whose values were read as they are, and so many rows further. */
export interface PageStart {
  readonly after?: Position;
  readonly skip: number;
}

export function pageStart(position: Position | undefined): PageStart {
  const [, after = '', skipped] = /^(.*)#(\d{1,9})$/s.exec(position ?? '') ?? [];
  if (skipped !== undefined) return { ...(after === '' ? {} : { after }), skip: Number(skipped) };
  return { ...(position === undefined ? {} : { after: position }), skip: 0 };
}

/** Whether a list can go on behind this position: it is of a row that was read as it is. */
export const isReadable = (position: Position): boolean => !position.includes(UNREADABLE);

/** Where the next page begins. `positions` are those of the rows shown, each made of what was read; rows that somebody planted are passed by. */
export function nextPosition(start: PageStart, positions: readonly Position[]): Position {
  const at = positions.findLastIndex(isReadable);
  const after = positions[at];
  const skip = after === undefined ? start.skip + positions.length : positions.length - 1 - at;
  if (skip === 0 && after !== undefined) return after;
  return `${after ?? start.after ?? ''}#${skip}`;
}
