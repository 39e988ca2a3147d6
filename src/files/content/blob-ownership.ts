import { Injectable } from '@nestjs/common';
import { isDomainError } from '../../kernel/index';
import { Collection, Draft, DuplicateKey, Store, update } from '../../store/index';
import { BlobRefDoc, blobRefCollection } from './blob-ref.collection';
import { namesBlob } from '../model/versions';
import { FileDoc, fileCollection } from '../model/file.collection';

const BATCH = 100;

/** Whether the holder of a reference still names the blob. */
type Holds = (blobId: string, holderId: string) => Promise<boolean>;

/** Whose a blob is: the row whose current content it is, or who its reference names. */
@Injectable()
export class BlobOwnership {
  readonly #refs: Collection<BlobRefDoc>;
  readonly #files: Collection<FileDoc>;
  readonly #holders = new Map<string, Holds>();

  constructor(store: Store) {
    this.#refs = store.collection(blobRefCollection);
    this.#files = store.collection(fileCollection);
    this.register('file', async (blobId, fileId) => {
      const row = await this.#files.find('_id', fileId);
      return row !== undefined && namesBlob(row, blobId);
    });
  }

  /** Who answers for the references of one kind of holder. What nobody answers for stays. */
  register(holder: BlobRefDoc['holder'], holds: Holds): void {
    this.#holders.set(holder, holds);
  }

  /** Says that a file's row names the blob, also where it is not the current content. Safe to repeat. */
  async claim(blobId: string, file: Pick<FileDoc, '_id' | 'owner_id'>): Promise<void> {
    if (await this.handOver(blobId, file._id)) return;
    await this.insert({ _id: blobId, owner_id: file.owner_id, holder: 'file', holder_id: file._id });
  }

  /** Says whose a blob is that no file's row names yet. Safe to repeat. */
  async claimForUpload(blobId: string, upload: Pick<FileDoc, '_id' | 'owner_id'>): Promise<void> {
    await this.insert({ _id: blobId, owner_id: upload.owner_id, holder: 'upload', holder_id: upload._id });
  }

  /** What an upload held is from now on the file's that came of it. False where there is no reference. */
  async handOver(blobId: string, fileId: string): Promise<boolean> {
    const ref = await update(this.#refs, blobId, (current) =>
      current.holder === 'file' ? undefined : { ...current, holder: 'file' as const, holder_id: fileId },
    );
    return ref !== undefined;
  }

  /** Blobs that an upload holds, some of them: what is released or handed over is not among them any more. */
  async someOfUpload(uploadId: string): Promise<readonly string[]> {
    const page = await this.#refs.list('holder', ['upload', uploadId], { limit: BATCH, onTampered: () => undefined });
    return page.items.map(({ _id }) => _id);
  }

  /** For a blob that is gone. */
  async release(blobId: string): Promise<void> {
    await this.#refs.remove(blobId);
  }

  /**
   * False for a blob that nobody names any more. Rows first: a content that becomes the current one or stops being it has its reference
   * before, and keeps it until its blob is gone.
   */
  async isHeld(blobId: string): Promise<boolean> {
    try {
      if ((await this.#files.find('blob', blobId)) !== undefined) return true;
      const ref = await this.#refs.find('_id', blobId);
      if (ref === undefined) return false;
      return (await this.#holders.get(ref.holder)?.(blobId, ref.holder_id)) ?? true;
    } catch (error) {
      // A row that fails MAC verification is still one: somebody has to look at it, and the blob stays until then.
      if (isDomainError(error, 'integrity_failed')) return true;
      throw error;
    }
  }

  private async insert(ref: Draft<BlobRefDoc>): Promise<void> {
    await this.#refs.insert(ref).catch((error: unknown) => {
      if (!(error instanceof DuplicateKey)) throw error;
    });
  }
}
