import type { FastifyReply } from 'fastify';
import { sha256 } from '../../crypto';
import { requireMatch } from '../../http';
import { OwnerKeys, type Sealer } from '../../keys/user-keys';
import { FileView, showFile } from './file';
import { ActiveFile, WholeFile } from './file.collection';

/**
 * Compares the tags of a row with If-Match, in each attempt to store a change.
 * @throws DomainError `precondition_failed`.
 */
export type Precondition = (...tags: readonly string[]) => void;

/** The tag of a version's content: a version never changes. */
export const contentTag = (row: Pick<ActiveFile, '_id' | 'version'>): string => `"${row._id}.${row.version}"`;

/** The tag of the stored message. A new file key changes it, and not the content. */
export const messageTag = (row: ActiveFile): string => `"${row._id}.${row.version}.${shortHash(row.blob_id)}"`;

/**
 * The tag of the metadata. Made from the view, and not from the row's revision, which changes also
 * with uploads under way and rewrapped keys.
 */
export const metadataTag = (view: FileView): string =>
  `"${view.id}.${view.version}.m${shortHash(JSON.stringify(view))}"`;

/** The tags that If-Match of a change may name: of the current content and metadata. */
export const currentTags = (keys: OwnerKeys, row: WholeFile): readonly string[] => [
  contentTag(row),
  metadataTag(showFile(keys, row)),
];

/**
 * Calls `holds`, where there is one, with the current tags of the row and `more`.
 * @throws DomainError `precondition_failed`.
 */
export async function requireHolds(
  sealer: Sealer,
  row: WholeFile,
  holds: Precondition | undefined,
  ...more: readonly string[]
): Promise<void> {
  if (holds !== undefined) await sealer.with(row.owner_id, (keys) => holds(...more, ...currentTags(keys, row)));
}

const shortHash = (text: string): string => sha256(text).toString('hex', 0, 8);

/** The precondition of a request. Without If-Match any state may be changed. */
export const matching =
  (ifMatch: string | undefined): Precondition =>
  (...tags) =>
    requireMatch(ifMatch, ...tags);

/** Sets the ETag of a response to that of the file's metadata. */
export function tagged<View extends FileView>(reply: FastifyReply, file: View): View {
  reply.header('etag', metadataTag(file));
  return file;
}
