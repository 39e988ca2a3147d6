import { isoTime } from '../kernel';
import { OwnerKeys } from '../keys/user';
import { ContentFacts, openFacts, openName } from './file-cipher';
import { ActiveFile } from './file.collection';

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

/** @throws DomainError `decryption_failed`. */
export const showFile = (keys: OwnerKeys, row: ActiveFile): FileView =>
  viewOf(row, row.name_index === undefined ? null : openName(keys, row), openFacts(keys, row));

export function viewOf(row: ActiveFile, name: string | null, facts: ContentFacts): FileView {
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
