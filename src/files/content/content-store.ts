import { Injectable, Optional } from '@nestjs/common';
import { Readable } from 'node:stream';
import { BlobStore, ByteRange } from '../../blobs';
import { FileContext, FileEncryption, FileMessages, FileSummary, sha256Stream } from '../../crypto';
import { ChunkBatch, DomainError, SecretBytes, StaleKeyVersionError, isDomainError } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { DamageReports } from '../../observability';
import { Collection, Store } from '../../store';
import { fileNotFound } from '../model/file';
import { openFacts, openFileKey } from '../model/file-encryption';
import { ActiveFile, FileDoc, WholeFile, fileCollection } from '../model/file.collection';
import { atVersion } from '../model/versions';

/** The version whose content a blob is to hold. */
export type ContentTarget = Pick<FileDoc, '_id' | 'owner_id' | 'version' | 'blob_id'>;

/**
 * Called for each chunk that was read. A promise that it returns slows the reading down; an error
 * ends it.
 */
export type OnBytes = (bytes: number) => void | Promise<void>;

/**
 * Between rows and blobs: stores a content as an encrypted message, and serves it, decrypted or as
 * stored.
 */
@Injectable()
export class ContentStore {
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

  /**
   * The message of a content, which is read and encrypted as the message is read. Destroys the key.
   */
  encrypt(target: ContentTarget, key: SecretBytes, content: AsyncIterable<ChunkBatch>): FileEncryption {
    try {
      return this.messages.encrypt(key, contextOf(target), content);
    } finally {
      key.destroy();
    }
  }

  /** Writes a message to its blob, in constant memory. Resolves when the blob is durable. */
  async store(target: ContentTarget, message: FileEncryption): Promise<FileSummary> {
    try {
      await this.blobs.put(target.blob_id, message);
      return message.summary;
    } catch (error) {
      this.damage?.uploadAborted(target._id, error);
      throw error;
    }
  }

  /**
   * The decrypted content. Resolves when the first frame asked for has verified; a later fault
   * destroys the stream. Damage is reported in both cases.
   * @throws DomainError `decryption_failed`, `file_not_found` (removed a moment ago),
   * `kms_unavailable`, `store_unavailable`.
   */
  read(row: ActiveFile, range: ByteRange | undefined): Promise<Readable> {
    return this.#reported(row, () => this.open(row, range));
  }

  /** The stored message, or a part of it, not verified. @throws as `read`. */
  readStored(row: ActiveFile, range: ByteRange | undefined): Promise<Readable> {
    return this.#reported(row, () => this.#openStored(row, range));
  }

  /**
   * Reads a content to its end. Resolves with its size where each frame verifies and the SHA-256 is
   * that of the upload. Reports nothing itself.
   * @throws DomainError `checksum_mismatch`, and as `read`.
   */
  async readThrough(row: ActiveFile, onBytes: OnBytes = () => undefined): Promise<number> {
    const { sha256 } = await this.sealer.with(row.owner_id, (keys) => openFacts(keys, row));
    const hash = sha256Stream();
    let bytes = 0;
    for await (const chunk of await this.open(row, undefined)) {
      const { length } = chunk as Buffer;
      hash.update(chunk as Buffer);
      bytes += length;
      await onBytes(length);
    }
    if (bytes !== row.size) throw new DomainError('decryption_failed');
    if (hash.digest().toString('hex') !== sha256) throw new DomainError('checksum_mismatch');
    return bytes;
  }

  /** As `read`, for a caller that reports damage itself. */
  async open(row: ActiveFile, range: ByteRange | undefined): Promise<Readable> {
    const storedSize = await this.#storedSize(row);
    const fileKey = await this.sealer.with(row.owner_id, (keys) => openFileKey(keys, row));
    try {
      const { size: plaintextSize, encrypted_size: encryptedSize } = row;
      const read = (span: ByteRange, chunkBytes?: number): Promise<Readable> =>
        this.blobs.get(row.blob_id, span, chunkBytes);
      const file = { fileKey, context: contextOf(row), plaintextSize, encryptedSize, storedSize, read };
      return await this.messages.open(file, range);
    } catch (error) {
      throw await this.#readFault(row, error);
    } finally {
      fileKey.destroy();
    }
  }

  async #openStored(row: ActiveFile, range: ByteRange | undefined): Promise<Readable> {
    if ((await this.#storedSize(row)) !== row.encrypted_size) throw new DomainError('decryption_failed');
    try {
      return await this.blobs.get(row.blob_id, range);
    } catch (error) {
      throw await this.#readFault(row, error);
    }
  }

  async #reported({ _id: id, version }: ActiveFile, open: () => Promise<Readable>): Promise<Readable> {
    const report = (error: unknown): void => this.damage?.met({ resource: 'file', id, version }, error);
    try {
      return (await open()).once('error', report);
    } catch (error) {
      report(error);
      throw error;
    }
  }

  async #storedSize(row: ActiveFile): Promise<number> {
    const size = await this.blobs.size(row.blob_id);
    if (size === undefined) throw await this.#readFault(row, new DomainError('not_found'));
    return size;
  }

  /**
   * Why a blob is missing: its file or version was removed a moment ago, a rekey moved the content
   * to another blob (the row must be read again), or it was lost, which counts as damage.
   */
  async #readFault(row: ActiveFile, error: unknown): Promise<unknown> {
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
