import { Injectable } from '@nestjs/common';
import { isDomainError } from '../../kernel';
import { Collection, Store } from '../../store';
import { BlobRefDoc, blobRefCollection } from '../blob-ref.collection';
import { FileDoc, fileCollection } from '../file.collection';
import { hasContent } from './upload';
import { UploadDoc, uploadCollection } from './upload.collection';

/** Tells the sweep of blobs that belong to nobody which ones uploads still need. */
@Injectable()
export class UploadBlobs {
  readonly #rows: Collection<UploadDoc>;
  readonly #files: Collection<FileDoc>;
  readonly #refs: Collection<BlobRefDoc>;

  constructor(store: Store) {
    this.#rows = store.collection(uploadCollection);
    this.#files = store.collection(fileCollection);
    this.#refs = store.collection(blobRefCollection);
  }

  /**
   * Whether an upload that goes on has this blob, or the file that it became. Says yes too often: what an attempt left goes with its upload at
   * the latest.
   */
  async holds(blobId: string, uploadId: string): Promise<boolean> {
    try {
      if (hasContent(await this.#files.find('_id', uploadId), blobId)) return true;
      const row = await this.#rows.find('_id', uploadId);
      return row !== undefined && row.state !== 'done' && row.state !== 'ended';
    } catch (error) {
      // A row that does not hold its seal is still one: somebody has to look at it.
      if (isDomainError(error, 'integrity_failed')) return true;
      throw error;
    }
  }

  /** The same for who knows the blob alone. */
  async needs(blobId: string): Promise<boolean> {
    const ref = await this.#refs.find('_id', blobId);
    return ref?.holder === 'upload' && this.holds(blobId, ref.holder_id);
  }
}
