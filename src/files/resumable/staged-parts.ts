import { Injectable } from '@nestjs/common';
import { BlobStore } from '../../blobs';
import { FileEncryption, FileMessages, FileSummary } from '../../crypto';
import { ChunkBatch, DomainError, SecretBytes, StaleKeyVersionError, burstsOf, isDomainError } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { Collection, Store } from '../../store';
import { BlobOwnership } from '../content/blob-ownership';
import { contextOf as fileContextOf } from '../content/content-store';
import { openFileKey } from '../model/file-encryption';
import { FileDoc, fileCollection } from '../model/file.collection';
import { namesBlob } from '../model/versions';
import { UploadPart, blobIdOf, contextOf, partsOf } from './upload';
import { UploadDoc } from './upload.collection';

/**
 * The blobs of uploads: one message an attempt, each with its own data key, all under the key of
 * the future file.
 */
@Injectable()
export class StagedParts {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly blobs: BlobStore,
    private readonly ownership: BlobOwnership,
    private readonly messages: FileMessages,
    private readonly sealer: Sealer,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /**
   * The caller destroys it.
   * @throws DomainError `not_found` (the upload has ended), `kms_unavailable`.
   */
  async fileKey(uploadId: string): Promise<SecretBytes> {
    try {
      return await this.#openFileKey(uploadId);
    } catch (error) {
      // The key was rewrapped between the two reads; the new wrap opens.
      if (error instanceof StaleKeyVersionError) return this.#openFileKey(uploadId);
      throw error;
    }
  }

  /**
   * Records whose blob the part will be, before there is one. Resolves with the file key, as
   * `fileKey`.
   */
  async claim(upload: UploadDoc, attempt: number): Promise<SecretBytes> {
    const key = await this.fileKey(upload._id);
    try {
      await this.ownership.claimForUpload(blobIdOf(upload, attempt), upload);
      return key;
    } catch (error) {
      key.destroy();
      throw error;
    }
  }

  /** The message of a part. Destroys the key. */
  encrypt(upload: UploadDoc, attempt: number, key: SecretBytes, content: AsyncIterable<ChunkBatch>): FileEncryption {
    try {
      return this.messages.encrypt(key, contextOf(upload, attempt), content);
    } finally {
      key.destroy();
    }
  }

  /** Resolves when the part is durable. */
  async store(upload: UploadDoc, attempt: number, message: FileEncryption): Promise<FileSummary> {
    await this.blobs.put(blobIdOf(upload, attempt), message);
    return message.summary;
  }

  /**
   * Reads all parts once, and writes their content as the one message of the file, into the blob
   * that its row names; under `ownKey`, where that is given, instead of the key that the parts
   * have.
   */
  async join(upload: UploadDoc, file: FileDoc, ownKey: SecretBytes | undefined): Promise<FileSummary> {
    const key = await this.fileKey(upload._id);
    try {
      const message = this.messages.encrypt(ownKey ?? key, fileContextOf(file), this.#content(upload, key));
      await this.blobs.put(file.blob_id, message);
      return message.summary;
    } finally {
      key.destroy();
    }
  }

  /** Removes what an earlier `join` wrote. */
  async dropJoined(blobId: string): Promise<void> {
    await this.blobs.remove(blobId);
  }

  encryptedSize(upload: UploadDoc, { attempt, size }: UploadPart): number {
    return this.messages.encryptedSize(contextOf(upload, attempt), size);
  }

  /**
   * The content of all parts that count, in order.
   * @throws DomainError `decryption_failed` where a part is not what was stored.
   */
  async *#content(upload: UploadDoc, key: SecretBytes): AsyncGenerator<ChunkBatch, void> {
    for (const part of partsOf(upload)) yield* burstsOf(await this.#open(upload, part, key));
  }

  /** Removes what an attempt left, unless a file has it by now. */
  async drop(upload: UploadDoc, attempt: number): Promise<void> {
    await this.#remove(blobIdOf(upload, attempt), upload._id);
  }

  /** Removes all parts of an upload that has ended, except one that a file has. Safe to repeat. */
  async dropAll(uploadId: string): Promise<void> {
    for (;;) {
      const blobIds = await this.ownership.someOfUpload(uploadId);
      for (const blobId of blobIds) await this.#remove(blobId, uploadId);
      if (blobIds.length === 0) return;
    }
  }

  /**
   * A blob has a reference as long as it exists: the sweep of orphans finds it under one holder or
   * the other.
   */
  async #remove(blobId: string, uploadId: string): Promise<void> {
    const file = await this.#files.find('_id', uploadId);
    if (file !== undefined && namesBlob(file, blobId)) {
      await this.ownership.handOver(blobId, uploadId);
      return;
    }
    await this.ownership.removeBlob(blobId);
  }

  async #openFileKey(uploadId: string): Promise<SecretBytes> {
    const row = await this.#files.find('_id', uploadId);
    const file_key = row?.file_key;
    if (row?.state !== 'pending' || file_key === undefined) throw new DomainError('not_found');
    return this.sealer.with(row.owner_id, (keys) => openFileKey(keys, { ...row, file_key }));
  }

  async #open(upload: UploadDoc, part: UploadPart, fileKey: SecretBytes): Promise<AsyncIterable<Buffer>> {
    const blobId = blobIdOf(upload, part.attempt);
    const storedSize = await this.blobs.size(blobId);
    if (storedSize === undefined) throw new DomainError('decryption_failed');
    try {
      return await this.messages.open({
        fileKey,
        context: contextOf(upload, part.attempt),
        plaintextSize: part.size,
        encryptedSize: this.encryptedSize(upload, part),
        storedSize,
        read: (span) => this.blobs.get(blobId, span),
      });
    } catch (error) {
      throw isDomainError(error, 'not_found') ? new DomainError('decryption_failed', { cause: error }) : error;
    }
  }
}
