import { isoTime } from '../../kernel/index';
import { OwnerKeys } from '../../keys/user-keys/index';
import { ContentFacts, openFacts, openName } from './file-encryption';
import { TrashedFile, WholeFile } from './file.collection';

/** A file's metadata, as the API gives it. */
export interface FileView {
  readonly id: string;
  /** Null for a file that came under a name that was taken (file.collection). */
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

/** @throws DomainError `decryption_failed`. */
export const showFile = (keys: OwnerKeys, row: WholeFile): FileView =>
  viewOf(row, row.name_index === undefined ? null : openName(keys, row), openFacts(keys, row));

/** With the name that it had: that is what it is restored under. */
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
