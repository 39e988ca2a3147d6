import { Injectable } from '@nestjs/common';
import { BlobStore } from '../../blobs';
import { DAY, ErrorCollector, isDomainError } from '../../kernel';
import { Collection, Doc, Draft, DuplicateKey, Store, defineCollection, update, plain } from '../../store';
import { FileDoc, fileCollection } from '../model/file.collection';
import { namesBlob } from '../model/versions';
import { UploadDoc, uploadCollection } from '../resumable/upload.collection';

/**
 * The owner of a blob that is not the current content of a file: contents in `others`, parts of
 * uploads. `_id` is the blob's id. The row is inserted after the holder names the blob and before
 * the blob is written, and removed after the blob: a blob that no row names is an orphan.
 */
export interface BlobRefDoc extends Doc {
  readonly owner_id: string;
  readonly holder: 'file' | 'upload';
  readonly holder_id: string;
}

export const blobRefCollection = defineCollection<BlobRefDoc>({
  name: 'blob_refs',
  fields: { owner_id: plain.string, holder: plain.string, holder_id: plain.string },
  indexes: { owner: { fields: ['owner_id'] }, holder: { fields: ['holder', 'holder_id'] } },
  tampered: 'refuse',
});

const BATCH = 100;

/** Which blobs belong to a file or an upload, and the end of those that belong to nothing. */
@Injectable()
export class BlobOwnership {
  readonly #refs: Collection<BlobRefDoc>;
  readonly #files: Collection<FileDoc>;
  readonly #uploads: Collection<UploadDoc>;

  constructor(
    store: Store,
    private readonly blobs: BlobStore,
  ) {
    this.#refs = store.collection(blobRefCollection);
    this.#files = store.collection(fileCollection);
    this.#uploads = store.collection(uploadCollection);
  }

  /**
   * Records that a file's row names the blob, as its current content or another. Safe to repeat.
   */
  async claim(blobId: string, file: Pick<FileDoc, '_id' | 'owner_id'>): Promise<void> {
    if (await this.handOver(blobId, file._id)) return;
    await this.#insert({ _id: blobId, owner_id: file.owner_id, holder: 'file', holder_id: file._id });
  }

  /** Records the upload of a blob that no file's row names yet. Safe to repeat. */
  async claimForUpload(blobId: string, upload: Pick<FileDoc, '_id' | 'owner_id'>): Promise<void> {
    await this.#insert({ _id: blobId, owner_id: upload.owner_id, holder: 'upload', holder_id: upload._id });
  }

  /** Gives a blob of an upload to the file that it became. False where there is no reference. */
  async handOver(blobId: string, fileId: string): Promise<boolean> {
    const ref = await update(this.#refs, blobId, (current) =>
      current.holder === 'file' ? undefined : { ...current, holder: 'file' as const, holder_id: fileId },
    );
    return ref !== undefined;
  }

  /** Some of the blobs that an upload holds. Empty once all are removed or handed over. */
  async someOfUpload(uploadId: string): Promise<readonly string[]> {
    const page = await this.#refs.list('holder', ['upload', uploadId], { limit: BATCH, onTampered: () => undefined });
    return page.items.map(({ _id }) => _id);
  }

  /** Removes a blob, and then its reference. Does nothing where there is none. */
  async removeBlob(blobId: string): Promise<void> {
    await this.blobs.remove(blobId);
    await this.#refs.remove(blobId);
  }

  /**
   * Removes orphaned blobs and what dead writes left. A blob younger than a day stays: an operator
   * who started with the wrong database, or restored one, has that long to notice.
   */
  async sweepOrphans(): Promise<void> {
    const faults = new ErrorCollector();
    await faults.run(async () => {
      for await (const id of this.blobs.list({ olderThanMs: DAY })) await faults.run(() => this.#removeOrphan(id));
    });
    await faults.run(() => this.blobs.sweep(DAY));
    faults.throwFirst();
  }

  async #removeOrphan(blobId: string): Promise<void> {
    if (!(await this.isHeld(blobId))) await this.removeBlob(blobId);
  }

  /**
   * False for a blob that no row names. Looks at file rows first: a content that becomes the
   * current one, or stops being it, has its reference before, and keeps it until its blob is
   * removed.
   */
  async isHeld(blobId: string): Promise<boolean> {
    try {
      if ((await this.#files.find('blob', blobId)) !== undefined) return true;
      const ref = await this.#refs.find('_id', blobId);
      if (ref === undefined) return false;
      return ref.holder === 'file' ? await this.#fileNames(ref.holder_id, blobId) : await this.#uploadHolds(ref);
    } catch (error) {
      // A row whose MAC does not verify keeps its blob until somebody has looked at it.
      if (isDomainError(error, 'integrity_failed')) return true;
      throw error;
    }
  }

  /**
   * True too often: what an attempt left goes with its upload. The upload's row is read first,
   * since one that is done has a file.
   */
  async #uploadHolds({ _id: blobId, holder_id: uploadId }: BlobRefDoc): Promise<boolean> {
    const upload = await this.#uploads.find('_id', uploadId);
    if (upload !== undefined && upload.state !== 'done' && upload.state !== 'ended') return true;
    return this.#fileNames(uploadId, blobId);
  }

  async #fileNames(fileId: string, blobId: string): Promise<boolean> {
    const row = await this.#files.find('_id', fileId);
    return row !== undefined && namesBlob(row, blobId);
  }

  async #insert(ref: Draft<BlobRefDoc>): Promise<void> {
    await this.#refs.insert(ref).catch((error: unknown) => {
      if (!(error instanceof DuplicateKey)) throw error;
    });
  }
}
