import { FileContext, sha256 } from '../../crypto';
import { DomainError } from '../../kernel';
import { EncryptionContext, OwnerKeys } from '../../keys/user-keys';
import { Run, UploadDoc } from './upload.collection';

export const FILE_VERSION = 1;
/** Chunks of ever different sizes would let the row grow without bound. */
const MAX_RUNS = 5_000;
const BLOB_ID_CHARS = 32;

/** What one attempt brought. */
export interface UploadPart {
  readonly attempt: number;
  readonly size: number;
}

/** The parts that count, in the order of the content. */
export function* partsOf({ runs }: Pick<UploadDoc, 'runs'>): Generator<UploadPart, void> {
  for (const { first, count, size } of runs) {
    for (let attempt = first; attempt < first + count; attempt += 1) yield { attempt, size };
  }
}

export const hasPart = ({ runs }: UploadDoc, attempt: number): boolean =>
  runs.some(({ first, count }) => attempt >= first && attempt < first + count);

/** The row with one more part, and without the attempt that brought it. */
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

export const hasTooManyChunks = ({ runs }: UploadDoc): boolean => runs.length >= MAX_RUNS;

/** The row without a running attempt. */
export function atRest(row: UploadDoc): UploadDoc {
  const { running: _running, close_asked: _asked, touched_at: _touched, worker: _worker, ...rest } = row;
  return rest;
}

/** True where one clean attempt brought all: its message becomes the file's. */
export const isOneMessage = (row: UploadDoc): boolean => {
  const [run] = row.runs;
  return row.unnumbered && run?.first === 1 && run.size === row.length;
};

/**
 * True where an uncounted message of attempt 1 may exist, complete, with the very context of the
 * file's message. The file then gets its own key, or a writer to the blob store could swap the two.
 */
export const hasStrayMessage = (row: UploadDoc): boolean => row.unnumbered && !hasPart(row, 1);

/** Random to anybody without the row. */
export const blobIdOf = ({ blob_seed: seed }: UploadDoc, attempt: number): string =>
  sha256(`${seed}/${attempt}`).toString('hex').slice(0, BLOB_ID_CHARS);

/**
 * The encryption context of an attempt. It lacks the number where the message may become the
 * file's.
 */
export const contextOf = (row: UploadDoc, attempt: number): FileContext => ({
  fileId: row._id,
  ownerId: row.owner_id,
  version: FILE_VERSION,
  ...(!(row.unnumbered && attempt === 1) && { attempt }),
});

/** The offset that HEAD returns: short of the length until the file exists. */
export const shownOffset = (row: UploadDoc): number =>
  row.state === 'whole' ? Math.max(0, row.length - 1) : row.offset;

/**
 * True where a PATCH brings nothing new: the byte that `shownOffset` leaves open, or the last
 * attempt again.
 */
export const isRepeated = (row: UploadDoc, offset: number): boolean =>
  [row.last_offset, Math.max(0, row.length - 1), row.length].includes(offset);

export const uploadNotFound = (): DomainError => new DomainError('not_found', { detail: 'There is no such upload.' });

export const wrongOffset = (): DomainError =>
  new DomainError('conflict', { detail: 'Upload-Offset is not the offset of this upload.' });

/** What an upload keeps encrypted besides the file's name. */
export interface UploadDetails {
  readonly contentType: string;
  /** From the moment the file is there. */
  readonly expiresInMs?: number;
  /** Upload-Metadata, as the client sent it. */
  readonly metadata: string;
}

type UploadRef = Pick<UploadDoc, '_id'>;

export const sealDetails = (keys: OwnerKeys, upload: UploadRef, details: UploadDetails): string =>
  keys.sealText(encryptionContext(keys, upload, 'details'), JSON.stringify(details));

/** @throws DomainError `decryption_failed`, as `openDigest`. */
export const openDetails = (keys: OwnerKeys, row: UploadDoc): UploadDetails =>
  JSON.parse(keys.openText(encryptionContext(keys, row, 'details'), row.details)) as UploadDetails;

export const sealDigest = (keys: OwnerKeys, upload: UploadRef, sha256: string): string =>
  keys.sealText(encryptionContext(keys, upload, 'digest'), sha256);

export const openDigest = (keys: OwnerKeys, row: UploadDoc): string =>
  keys.openText(encryptionContext(keys, row, 'digest'), row.digest ?? '');

/** The row with all that is encrypted in it under the owner's current key. */
export function reencryptedUpload(keys: OwnerKeys, row: UploadDoc): UploadDoc {
  const details = sealDetails(keys, row, openDetails(keys, row));
  const digest = row.digest === undefined ? {} : { digest: sealDigest(keys, row, openDigest(keys, row)) };
  return { ...row, details, ...digest, seal_version: keys.version };
}

const encryptionContext = (keys: OwnerKeys, upload: UploadRef, field: string): EncryptionContext => ({
  ownerId: keys.ownerId,
  resourceType: 'upload',
  resourceId: upload._id,
  field,
});
