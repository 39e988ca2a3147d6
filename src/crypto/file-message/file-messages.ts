import { Readable } from 'node:stream';
import { ChunkBatch, SecretBytes } from '../../kernel';
import { FileEncryption } from './encrypt-file';
import { FileContext } from './file-context';
import { FramePool } from './frame-pool';
import { headerSize } from './header';
import { MessageLayout, Span } from './layout';
import { openFile, StoredFile } from './open-file';

/**
 * The codec of file messages (docs/formats.md) with its worker threads; one for the process. A DI
 * token.
 */
export class FileMessages {
  readonly #pool: FramePool;

  constructor(pool = new FramePool()) {
    this.#pool = pool;
  }

  /**
   * Encrypts a source while the message is iterated. The caller may destroy the file key at once.
   */
  encrypt(fileKey: SecretBytes, context: FileContext, source: AsyncIterable<ChunkBatch>): FileEncryption {
    return new FileEncryption(fileKey, context, source, this.#pool);
  }

  /**
   * Decrypts a stored message, or a range of its plaintext (both ends included).
   * Resolves when the first requested frame has verified; a later fault destroys the stream. A
   * caller that stops early must destroy the stream.
   * @throws DomainError `decryption_failed`
   */
  open(file: StoredFile, range?: Span): Promise<Readable> {
    return openFile(file, range, this.#pool);
  }

  /** Size of the message that `encrypt` creates from `plaintextSize` bytes. */
  encryptedSize(context: FileContext, plaintextSize: number): number {
    return MessageLayout.ofPlaintext(headerSize(context), plaintextSize).totalSize;
  }

  /** Ends the worker threads. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}
