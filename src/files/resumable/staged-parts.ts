import { Injectable } from '@nestjs/common';
import { BlobStore } from '../../blobs';
import { FileMessages, FileSummary } from '../../crypto';
import { ChunkBatch, DomainError, SecretBytes, StaleKeyVersionError, burstsOf, isDomainError } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { Collection, Store } from '../../store';
import { BlobOwnership } from '../content/blob-ownership';
import { namesBlob } from '../model/versions';
import { openFileKey } from '../model/file-encryption';
import { FileDoc, fileCollection } from '../model/file.collection';
import { UploadPart, blobIdOf, contextOf, segmentsOf } from './upload';
import { UploadDoc } from './upload.collection';

/** The blobs of uploads: one message an attempt, each under a data key of its own, all under the key of the file to come. */
@Injectable()
export class StagedParts {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly blobs: BlobStore,
    private readonly refs: BlobOwnership,
    private readonly messages: FileMessages,
    private readonly sealer: Sealer,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /** The caller destroys it. @throws DomainError `not_found` (the upload has ended), `kms_unavailable`. */
  async fileKey(uploadId: string): Promise<SecretBytes> {
    try {
      return await this.openFileKey(uploadId);
    } catch (error) {
      // The row was wrapped again between the two reads; the new wrap opens.
      if (error instanceof StaleKeyVersionError) return this.openFileKey(uploadId);
      throw error;
    }
  }

  /** Says whose the blob is, before there is one. */
  name(upload: UploadDoc, attempt: number): Promise<void> {
    return this.refs.claimForUpload(blobIdOf(upload, attempt), upload);
  }

  /** Resolves when the message is durable. Destroys the key. */
  async write(
    upload: UploadDoc,
    attempt: number,
    key: SecretBytes,
    bytes: AsyncIterable<ChunkBatch>,
  ): Promise<FileSummary> {
    try {
      const message = this.messages.encrypt(key, contextOf(upload, attempt), bytes);
      key.destroy();
      await this.blobs.put(blobIdOf(upload, attempt), message);
      return message.summary;
    } finally {
      key.destroy();
    }
  }

  encryptedSize(upload: UploadDoc, { attempt, size }: UploadPart): number {
    return this.messages.encryptedSize(contextOf(upload, attempt), size);
  }

  /** All that counts, in clear, in its order. @throws DomainError `decryption_failed` where a segment is not what was stored. */
  async *content(upload: UploadDoc, key: SecretBytes): AsyncGenerator<ChunkBatch, void> {
    for (const segment of segmentsOf(upload)) yield* burstsOf(await this.open(upload, segment, key));
  }

  /** Removes what an attempt left, unless a file has it by now. */
  async drop(upload: UploadDoc, attempt: number): Promise<void> {
    await this.remove(blobIdOf(upload, attempt), upload._id);
  }

  /** Removes all segments of an upload that has ended, but for one that a file has. May be repeated. */
  async dropAll(uploadId: string): Promise<void> {
    for (;;) {
      const blobIds = await this.refs.someOfUpload(uploadId);
      for (const blobId of blobIds) await this.remove(blobId, uploadId);
      if (blobIds.length === 0) return;
    }
  }

  /** A blob keeps a reference for as long as it is there: who looks for blobs of nobody finds it under the one or the other holder. */
  private async remove(blobId: string, uploadId: string): Promise<void> {
    const file = await this.#files.find('_id', uploadId);
    if (file !== undefined && namesBlob(file, blobId)) {
      await this.refs.handOver(blobId, uploadId);
      return;
    }
    await this.blobs.remove(blobId);
    await this.refs.release(blobId);
  }

  private async openFileKey(uploadId: string): Promise<SecretBytes> {
    const row = await this.#files.find('_id', uploadId);
    const file_key = row?.file_key;
    if (row?.state !== 'pending' || file_key === undefined) throw new DomainError('not_found');
    return this.sealer.with(row.owner_id, (keys) => openFileKey(keys, { ...row, file_key }));
  }

  private async open(upload: UploadDoc, segment: UploadPart, fileKey: SecretBytes): Promise<AsyncIterable<Buffer>> {
    const blobId = blobIdOf(upload, segment.attempt);
    const storedSize = await this.blobs.size(blobId);
    if (storedSize === undefined) throw new DomainError('decryption_failed');
    try {
      return await this.messages.open({
        fileKey,
        context: contextOf(upload, segment.attempt),
        plaintextSize: segment.size,
        encryptedSize: this.encryptedSize(upload, segment),
        storedSize,
        read: (span) => this.blobs.get(blobId, span),
      });
    } catch (error) {
      throw isDomainError(error, 'not_found') ? new DomainError('decryption_failed', { cause: error }) : error;
    }
  }
}
