import { Doc, defineCollection } from '../../store/index';

/**
 * Says whose a blob is, where the blob is not the current content of a file's row: contents in `others`, segments of uploads. Stored after the
 * holder names the blob and before the blob is written, removed after the blob is: so a blob that neither a file's row nor such a row names
 * belongs to nobody, and one whose holder does not name it (any more) is what a crash left. `_id` is the blob's id.
 */
export interface BlobRefDoc extends Doc {
  readonly owner_id: string;
  readonly holder: 'file' | 'upload';
  readonly holder_id: string;
}

export const blobRefCollection = defineCollection<BlobRefDoc>({
  name: 'blob_refs',
  fields: { owner_id: 'string', holder: 'string', holder_id: 'string' },
  plaintext: ['owner_id', 'holder', 'holder_id'],
  indexes: { owner: { fields: ['owner_id'] }, holder: { fields: ['holder', 'holder_id'] } },
  tampered: 'refuse',
});
