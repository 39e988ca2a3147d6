import { Readable } from 'node:stream';
import { ChunkBatch, SecretBytes } from '../../kernel';
import { FileEncryption } from './encrypt-file';
import { FileContext } from './file-context';
import { FramePool } from './frame-pool';
import { headerSize } from './header';
import { MessageLayout, Span } from './layout';
import { openFile, StoredFile } from './open-file';

/** File messages (docs/formats.md): the one codec of the process, with its worker threads. A DI token. */
export class FileMessages {
  readonly #pool: FramePool;

  constructor(pool = new FramePool()) {
    this.#pool = pool;
  }

  /** A message over a source, encrypted as it is iterated. The file key may be destroyed at once. */
  encrypt(fileKey: SecretBytes, context: FileContext, source: AsyncIterable<ChunkBatch>): FileEncryption {
    return new FileEncryption(fileKey, context, source, this.#pool);
  }

  /**
   * The plaintext of a stored message, or of the range of it (within the plaintext, both ends included). Resolves once the first frame
   * asked for has verified; at a later fault the stream is destroyed with it. Destroy the stream when stopping early.
   * @throws DomainError `decryption_failed`.
   */
  open(file: StoredFile, range?: Span): Promise<Readable> {
    return openFile(file, range, this.#pool);
  }

  /** Size of the message that `encrypt` makes of `plaintextSize` bytes. */
  encryptedSize(context: FileContext, plaintextSize: number): number {
    return MessageLayout.ofPlaintext(headerSize(context), plaintextSize).totalSize;
  }

  /** Ends the worker threads. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}
