import { Injectable, Optional } from '@nestjs/common';
import { Readable } from 'node:stream';
import { BlobStore, ByteRange } from '../../blobs/index';
import { FileContext, FileMessages, FileSummary } from '../../crypto/index';
import { ChunkBatch, DomainError, SecretBytes, StaleKeyVersionError, isDomainError } from '../../kernel/index';
import { Sealer } from '../../keys/user-keys/index';
import { DamageReports } from '../../observability/index';
import { Collection, Store } from '../../store/index';
import { atVersion } from '../model/versions';
import { fileNotFound, openFileKey } from '../model/file-encryption';
import { ActiveFile, FileDoc, WholeFile, fileCollection } from '../model/file.collection';

/** Whose content a blob is to hold. */
export type ContentPlace = Pick<FileDoc, '_id' | 'owner_id' | 'version' | 'blob_id'>;

/** Between rows and blobs: writes a content as a file message, and serves it again, in clear or as it is stored. */
@Injectable()
export class FileContents {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly blobs: BlobStore,
    private readonly messages: FileMessages,
    private readonly sealer: Sealer,
    @Optional() private readonly damage?: DamageReports,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /** Encrypts a content into the row's blob, in constant memory. Resolves when the blob is durable. Destroys the key. */
  async write(row: ContentPlace, key: SecretBytes, content: AsyncIterable<ChunkBatch>): Promise<FileSummary> {
    try {
      const message = this.messages.encrypt(key, contextOf(row), content);
      key.destroy();
      await this.blobs.put(row.blob_id, message);
      return message.summary;
    } catch (error) {
      this.damage?.uploadAborted(row._id, error);
      throw error;
    } finally {
      key.destroy();
    }
  }

  /**
   * The content in clear. Resolves when the first frame asked for has verified; a later fault destroys the stream. Damage is reported,
   * whenever it shows.
   * @throws DomainError `decryption_failed`, `file_not_found` (removed a moment ago), `kms_unavailable`, `store_unavailable`.
   */
  read(row: ActiveFile, range: ByteRange | undefined): Promise<Readable> {
    return this.reported(row, () => this.open(row, range));
  }

  /** The stored message, or a part of it, as it is: whoever opens it verifies it. @throws as `read`. */
  readStored(row: ActiveFile, range: ByteRange | undefined): Promise<Readable> {
    return this.reported(row, () => this.openStored(row, range));
  }

  /** As `read`, for a reader that reports what it finds by itself. */
  async open(row: ActiveFile, range: ByteRange | undefined): Promise<Readable> {
    const storedSize = await this.storedSize(row);
    const fileKey = await this.sealer.with(row.owner_id, (keys) => openFileKey(keys, row));
    try {
      const { size: plaintextSize, encrypted_size: encryptedSize } = row;
      const read = (span: ByteRange, chunkBytes?: number): Promise<Readable> =>
        this.blobs.get(row.blob_id, span, chunkBytes);
      const file = { fileKey, context: contextOf(row), plaintextSize, encryptedSize, storedSize, read };
      return await this.messages.open(file, range);
    } catch (error) {
      throw await this.readFault(row, error);
    } finally {
      fileKey.destroy();
    }
  }

  private async openStored(row: ActiveFile, range: ByteRange | undefined): Promise<Readable> {
    if ((await this.storedSize(row)) !== row.encrypted_size) throw new DomainError('decryption_failed');
    try {
      return await this.blobs.get(row.blob_id, range);
    } catch (error) {
      throw await this.readFault(row, error);
    }
  }

  private async reported({ _id: id, version }: ActiveFile, open: () => Promise<Readable>): Promise<Readable> {
    const report = (error: unknown): void => this.damage?.met({ resource: 'file', id, version }, error);
    try {
      return (await open()).once('error', report);
    } catch (error) {
      report(error);
      throw error;
    }
  }

  private async storedSize(row: ActiveFile): Promise<number> {
    const size = await this.blobs.size(row.blob_id);
    if (size === undefined) throw await this.readFault(row, new DomainError('not_found'));
    return size;
  }

  /**
   * A blob that is not there was removed with its file or version a moment ago, or its content lies in another one under a new key (then the
   * row has to be read again), or it was taken away: as bad as one that was changed.
   */
  private async readFault(row: ActiveFile, error: unknown): Promise<unknown> {
    if (!isDomainError(error)) return new DomainError('store_unavailable', { cause: error });
    if (error.code !== 'not_found') return error;
    const current = await this.#files.find('_id', row._id);
    const version = current?.state === 'active' ? atVersion(current as WholeFile, row.version) : undefined;
    if (version === undefined) return fileNotFound();
    return version.blob_id === row.blob_id
      ? new DomainError('decryption_failed', { cause: error })
      : new StaleKeyVersionError();
  }
}

export const contextOf = (row: Pick<FileDoc, '_id' | 'owner_id' | 'version'>): FileContext => ({
  fileId: row._id,
  ownerId: row.owner_id,
  version: row.version,
});
