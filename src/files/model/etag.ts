import { sha256 } from '../../crypto';
import { OwnerKeys, type Sealer } from '../../keys/user-keys';
import { FileView, showFile } from './file';
import { ActiveFile, WholeFile } from './file.collection';

/**
 * Holds a change against what the request says of the state to be changed (If-Match); looked at again in each attempt to store the change.
 * @throws DomainError `precondition_failed`.
 */
export type Precondition = (...tags: readonly string[]) => void;

/** The tag of a version's content: a version never changes. */
export const contentTag = (row: Pick<ActiveFile, '_id' | 'version'>): string => `"${row._id}.${row.version}"`;

/** The tag of the stored message: it changes with its bytes, also where a new file key gives the same content another message. */
export const messageTag = (row: ActiveFile): string => `"${row._id}.${row.version}.${shortHash(row.blob_id)}"`;

/**
 * The tag of the metadata. Taken from what is shown and not from the row's revision: that moves also with what nobody sees, an upload under
 * way or keys that are wrapped again.
 */
export const metadataTag = (view: FileView): string =>
  `"${view.id}.${view.version}.m${shortHash(JSON.stringify(view))}"`;

/** What If-Match of a change may name: content or metadata, as they are now. */
export const currentTags = (keys: OwnerKeys, row: WholeFile): readonly string[] => [
  contentTag(row),
  metadataTag(showFile(keys, row)),
];

/** Asks `holds`, where there is one, with the tags that the row has now and with `more`. @throws DomainError `precondition_failed`. */
export async function requireHolds(
  sealer: Sealer,
  row: WholeFile,
  holds: Precondition | undefined,
  ...more: readonly string[]
): Promise<void> {
  if (holds !== undefined) await sealer.with(row.owner_id, (keys) => holds(...more, ...currentTags(keys, row)));
}

const shortHash = (text: string): string => sha256(text).toString('hex', 0, 8);
