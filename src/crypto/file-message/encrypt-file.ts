import { ChunkBatch, DomainError, SecretBytes } from '../../kernel';
import { FileContext } from './file-context';
import { FrameJob, Sealed } from './frame-cipher';
import { FrameEngine, InlineEngine, Returned } from './frame-engine';
import { FramePool } from './frame-pool';
import { newHeader } from './header';
import { FRAME_BYTES, MAX_PLAINTEXT_BYTES } from './layout';
import { quiet, readAhead } from './read-ahead';
import { plaintextBatches } from './slab';

/** Summary of a message, known after its last byte. */
export interface FileSummary {
  readonly plaintextSize: number;
  /** SHA-256 of the plaintext, lowercase hex. */
  readonly sha256: string;
  readonly encryptedSize: number;
}

/**
 * Encrypts one file message: iterate once for the bytes, then read the summary.
 * Each message has a new data key and message id. A second iteration throws, because the same frame
 * numbers with other bytes under one data key would repeat nonces.
 */
export class FileEncryption implements AsyncIterable<Buffer> {
  readonly #source: AsyncIterable<ChunkBatch>;
  readonly #pool: FramePool;
  readonly #header: Buffer;
  #job: FrameJob | undefined;
  #plaintextSize = 0;
  #encryptedSize = 0;
  #sha256: string | undefined;

  /** The caller may destroy the file key after this call. */
  constructor(fileKey: SecretBytes, context: FileContext, source: AsyncIterable<ChunkBatch>, pool: FramePool) {
    const { header, messageId, frameKey, frameBytes } = newHeader(fileKey, context);
    this.#source = source;
    this.#pool = pool;
    this.#header = header;
    this.#job = { key: frameKey.bytes, messageId, frameBytes };
  }

  /** @throws TypeError before the iteration has returned the last byte */
  get summary(): FileSummary {
    if (this.#sha256 === undefined) throw new TypeError('a message has no summary before its end');
    return {
      plaintextSize: this.#plaintextSize,
      sha256: this.#sha256,
      encryptedSize: this.#encryptedSize,
    };
  }

  [Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    const job = this.#job;
    if (job === undefined) throw new TypeError('a message is encrypted once');
    this.#job = undefined;
    return this.#message(job);
  }

  async *#message(job: FrameJob): AsyncGenerator<Buffer, void> {
    yield this.#counted(this.#header);
    let engine: FrameEngine | undefined;
    const choose = (only: boolean): FrameEngine => (engine = only ? new InlineEngine(job) : this.#pool.engine(job));
    try {
      for await (const { sealed } of readAhead(this.#sealing(choose), () => this.#pool.batchesAhead)) {
        const { slab, bytes, sha256 } = await sealed;
        this.#sha256 = sha256;
        yield this.#counted(slab.subarray(0, bytes));
      }
    } finally {
      engine?.close();
      job.key.fill(0);
    }
  }

  /**
   * Passes each full batch to the engine at once; the promise is wrapped so that the generator does
   * not await it.
   */
  async *#sealing(
    choose: (only: boolean) => FrameEngine,
  ): AsyncGenerator<{ readonly sealed: Promise<Returned<Sealed>> }, void> {
    let engine: FrameEngine | undefined;
    for await (const { slab, length, final } of plaintextBatches(this.#source, () =>
      this.#pool.framesAtOnce(FRAME_BYTES),
    )) {
      this.#plaintextSize += length;
      if (this.#plaintextSize > MAX_PLAINTEXT_BYTES) throw new DomainError('too_large');
      engine ??= choose(final);
      yield { sealed: quiet(engine.seal(slab, length, final)) };
    }
  }

  #counted(bytes: Buffer): Buffer {
    this.#encryptedSize += bytes.length;
    return bytes;
  }
}
