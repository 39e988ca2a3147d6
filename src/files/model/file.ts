import { Branded, DomainError, isoTime } from '../../kernel';
import { OwnerKeys } from '../../keys/user-keys';
import { Position } from '../../store';
import { ContentFacts, openFacts, openName } from './file-encryption';
import { TrashedFile, WholeFile } from './file.collection';

/** A valid file name: see `fileName`. */
export type FileName = Branded<string, 'FileName'>;

export const MAX_NAME_BYTES = 255;

/** The description of a content, parsed. */
export interface ContentRequest {
  /** Undefined where the client names none. */
  readonly contentType: string | undefined;
  readonly expiresInMs: number | undefined;
  /** The SHA-256 that the content must have, lowercase hex. */
  readonly sha256: string | undefined;
  readonly clientEncrypted: boolean;
  /** JSON text. */
  readonly envelope: string | undefined;
}

/** The description of a new file, parsed. */
export interface UploadRequest extends ContentRequest {
  readonly name: FileName;
  readonly contentType: string;
}

const MAX_CONTENT_TYPE_CHARS = 255;
const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const QUOTED = '"(?:[^"\\\\\\x00-\\x1f\\x7f-\\uffff]|\\\\[\\x20-\\x7e])*"';
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?:[ \\t]*;[ \\t]*${TOKEN}=(?:${TOKEN}|${QUOTED}))*$`);

export const isMediaType = (text: string): boolean => text.length <= MAX_CONTENT_TYPE_CHARS && MEDIA_TYPE.test(text);

/**
 * A file's name as sent, or the rule that it breaks. It may hold what a file system may hold,
 * quotes and emoji too, but nothing that turns into a path (`/`, `.`, `..`) or is no Unicode text.
 */
export function fileName(value: string): { readonly name: FileName } | { readonly fault: string } {
  const fault = nameFault(value);
  return fault === undefined ? { name: value as FileName } : { fault };
}

function nameFault(value: string): string | undefined {
  if (value === '') return 'must not be empty';
  if (Buffer.byteLength(value, 'utf8') > MAX_NAME_BYTES) return `must have at most ${MAX_NAME_BYTES} bytes in UTF-8`;
  if (value === '.' || value === '..') return 'must not be . or ..';
  if (value.includes('/')) return 'must not hold a slash';
  if (value.includes('\0')) return 'must not hold NUL';
  // Decoders put U+FFFD where bytes are no UTF-8: a name with it is not the name that was sent.
  if (/\p{Surrogate}|\uFFFD/u.test(value)) return 'must be valid Unicode';
  return undefined;
}

/** A file's metadata, as the API gives it. */
export interface FileView {
  readonly id: string;
  /** Null for a file whose name was taken when it was stored. */
  readonly name: string | null;
  readonly size: number;
  readonly content_type: string;
  readonly sha256: string;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly version: number;
  readonly encrypted_size: number;
  readonly client_encrypted: boolean;
  readonly envelope: unknown;
}

/** A file as lists show it. The times are those of files in the trash. */
export interface ListedFile extends FileView {
  readonly trashed_at?: string;
  readonly purge_at?: string;
}

export interface FilePage {
  readonly files: readonly ListedFile[];
  readonly next: Position | undefined;
}

/** @throws DomainError `decryption_failed`. */
export const showFile = (keys: OwnerKeys, row: WholeFile): FileView =>
  viewOf(row, row.name_index === undefined ? null : openName(keys, row), openFacts(keys, row));

/** With its former name, under which it is restored. */
export const showTrashed = (keys: OwnerKeys, row: TrashedFile): ListedFile => ({
  ...viewOf(row, openName(keys, row), openFacts(keys, row)),
  trashed_at: isoTime(row.trashed_at),
  purge_at: isoTime(row.purge_at),
});

export function viewOf(row: WholeFile, name: string | null, facts: ContentFacts): FileView {
  return {
    id: row._id,
    name,
    size: row.size,
    content_type: facts.contentType,
    sha256: facts.sha256,
    created_at: isoTime(row.created_at),
    expires_at: row.expires_at === undefined ? null : isoTime(row.expires_at),
    version: row.version,
    encrypted_size: row.encrypted_size,
    client_encrypted: row.client_encrypted,
    envelope: facts.envelope === undefined ? null : (JSON.parse(facts.envelope) as unknown),
  };
}

export const fileNotFound = (): DomainError => new DomainError('file_not_found');

export const fileExists = (): DomainError =>
  new DomainError('file_exists', { detail: 'A file of this name exists already.' });

export const uploadGone = (): DomainError => new DomainError('conflict', { detail: 'The upload timed out.' });
