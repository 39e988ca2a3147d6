import { FileContext, sha256 } from '../../crypto';
import { DomainError } from '../../kernel';
import { Run, UploadDoc } from './upload.collection';

export const FILE_VERSION = 1;
/** Pieces of ever different sizes would let the row grow without end. */
const MAX_RUNS = 5_000;
const BLOB_ID_CHARS = 32;

/** What one attempt brought. */
export interface UploadPart {
  readonly attempt: number;
  readonly size: number;
}

/** The segments that count, in the order of the content. */
export function* segmentsOf({ runs }: Pick<UploadDoc, 'runs'>): Generator<UploadPart, void> {
  for (const { first, count, size } of runs) {
    for (let attempt = first; attempt < first + count; attempt += 1) yield { attempt, size };
  }
}

export const hasPart = ({ runs }: UploadDoc, attempt: number): boolean =>
  runs.some(({ first, count }) => attempt >= first && attempt < first + count);

/** The row with one more segment, and without the attempt that brought it. */
export function withPart(row: UploadDoc, attempt: number, size: number): UploadDoc {
  const offset = row.offset + size;
  return { ...atRest(row), runs: appended(row.runs, { attempt, size }), offset, last_offset: row.offset };
}

function appended(runs: readonly Run[], { attempt, size }: UploadPart): readonly Run[] {
  const last = runs.at(-1);
  if (last?.size === size && last.first + last.count === attempt) {
    return [...runs.slice(0, -1), { ...last, count: last.count + 1 }];
  }
  return [...runs, { first: attempt, count: 1, size }];
}

export const hasTooManyPieces = ({ runs }: UploadDoc): boolean => runs.length >= MAX_RUNS;

/** The row without a running attempt. */
export function atRest(row: UploadDoc): UploadDoc {
  const { running: _running, close_asked: _asked, touched_at: _touched, worker: _worker, ...rest } = row;
  return rest;
}

/** True where all of it came in one clean attempt: its message is the file's as it is. */
export const isOneMessage = (row: UploadDoc): boolean => {
  const [run] = row.runs;
  return row.unnumbered && run?.first === 1 && run.size === row.length;
};

/**
 * True where the message of attempt 1 may lie somewhere, whole, with the very context that the file's message will have, and did not count.
 * The file then gets a key of its own, or who writes to the blob store could put the one in the place of the other.
 */
export const hasStrayMessage = (row: UploadDoc): boolean => row.unnumbered && !hasPart(row, 1);

/** Random for who does not have the row. */
export const blobIdOf = ({ blob_seed: seed }: UploadDoc, attempt: number): string =>
  sha256(`${seed}/${attempt}`).toString('hex').slice(0, BLOB_ID_CHARS);

/** What the message of an attempt says of itself: the number is left out in one that may become the file. */
export const contextOf = (row: UploadDoc, attempt: number): FileContext => ({
  fileId: row._id,
  ownerId: row.owner_id,
  version: FILE_VERSION,
  ...(!(row.unnumbered && attempt === 1) && { attempt }),
});

/** What HEAD tells: an upload is not said to be all there before its file is. */
export const shownOffset = (row: UploadDoc): number =>
  row.state === 'whole' ? Math.max(0, row.length - 1) : row.offset;

/** True where a PATCH may bring nothing new: the rest that `shownOffset` left open, or the last attempt once more. */
export const isRepeated = (row: UploadDoc, offset: number): boolean =>
  [row.last_offset, Math.max(0, row.length - 1), row.length].includes(offset);

export const uploadNotFound = (): DomainError => new DomainError('not_found', { detail: 'There is no such upload.' });

export const wrongOffset = (): DomainError =>
  new DomainError('conflict', { detail: 'Upload-Offset is not the offset of this upload.' });
