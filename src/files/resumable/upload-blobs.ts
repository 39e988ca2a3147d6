import { Injectable, OnModuleInit } from '@nestjs/common';
import { Collection, Store } from '../../store';
import { BlobOwnership } from '../content/blob-ownership';
import { namesBlob } from '../model/versions';
import { FileDoc, fileCollection } from '../model/file.collection';
import { UploadDoc, uploadCollection } from './upload.collection';

/** Tells the sweep of blobs that belong to nobody which ones uploads still need. */
@Injectable()
export class UploadBlobs implements OnModuleInit {
  readonly #rows: Collection<UploadDoc>;
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly refs: BlobOwnership,
  ) {
    this.#rows = store.collection(uploadCollection);
    this.#files = store.collection(fileCollection);
  }

  onModuleInit(): void {
    this.refs.register('upload', (blobId, uploadId) => this.holds(blobId, uploadId));
  }

  /**
   * Whether an upload that goes on has this blob, or the file that it became. Says yes too often: what an attempt left goes with its upload at
   * the latest. The upload's row first: one that is done has its file.
   */
  private async holds(blobId: string, uploadId: string): Promise<boolean> {
    const upload = await this.#rows.find('_id', uploadId);
    if (upload !== undefined && upload.state !== 'done' && upload.state !== 'ended') return true;
    const file = await this.#files.find('_id', uploadId);
    return file !== undefined && namesBlob(file, blobId);
  }
}
