import { Readable } from 'node:stream';
import { SecretBytes } from '../../kernel';
import { decryptionFailed } from '../format-fault';
import { ExactReader } from './exact-reader';
import { FileContext } from './file-context';
import { batchFrames } from './frame-cipher';
import { FrameEngine, InlineEngine } from './frame-engine';
import { FramePool } from './frame-pool';
import { batchBytes, FrameRun, frameRun, plaintextOf } from './frame-run';
import { headerSize, MessageKeys, openHeader } from './header';
import { FRAME_BYTES, MessageLayout, Span } from './layout';
import { quiet } from './read-ahead';

/** A message up to this size is fetched in one read, header and frames together. */
const ONE_READ_BYTES = 4 * FRAME_BYTES;

/** A stored message and the metadata of its row. */
export interface StoredFile {
  readonly fileKey: SecretBytes;
  readonly context: FileContext;
  /**
   * Both sizes come from the authenticated file row, so that a truncated or spliced message is
   * detected.
   */
  readonly plaintextSize: number;
  readonly encryptedSize: number;
  /**
   * Size of the blob according to its store, if known: a mismatch is rejected before any byte is
   * served.
   */
  readonly storedSize?: number;
  /** `chunkBytes`: the preferred chunk size, for a store that can choose it. */
  read(span: Span, chunkBytes?: number): Promise<Readable>;
}

/**
 * Decrypts a stored message, or the plaintext bytes `range` of it, in constant memory.
 * Resolves when the header and the first requested frame have verified, so that the caller can
 * still report an error. A later fault destroys the stream after the verified bytes. The range must
 * lie within the plaintext. The caller may destroy the file key afterwards.
 * @throws DomainError `decryption_failed` for any fault of the message; errors of `read` pass
 * through
 */
export async function openFile(file: StoredFile, range: Span | undefined, pool: FramePool): Promise<Readable> {
  if (file.storedSize !== undefined && file.storedSize !== file.encryptedSize) throw decryptionFailed('stored-size');
  const { keys, rest } = await openMessage(file);
  try {
    const run = frameRun(layoutOf(file, keys), range, pool);
    const frames = rest ?? new ExactReader(await file.read(run.bytes, batchBytes(run)));
    const skipped = rest === undefined ? 0 : run.bytes.start - headerSize(file.context);
    return await verifiedStream(plaintextOf(run, frames, skipped, engineFor(run, keys, pool)), frames);
  } catch (fault) {
    rest?.destroy();
    throw fault;
  } finally {
    keys.frameKey.destroy();
  }
}

/** Verifies the header. A small message takes one read; `rest` then continues after the header. */
async function openMessage(file: StoredFile): Promise<{ keys: MessageKeys; rest: ExactReader | undefined }> {
  const header = Buffer.alloc(headerSize(file.context));
  if (file.encryptedSize < header.length) throw decryptionFailed('size');
  const whole = file.encryptedSize <= ONE_READ_BYTES;
  const reader = new ExactReader(await file.read({ start: 0, end: (whole ? file.encryptedSize : header.length) - 1 }));
  try {
    await reader.fill(header);
    const keys = openHeader(header, file.fileKey, file.context);
    if (!whole) reader.destroy();
    return { keys, rest: whole ? reader : undefined };
  } catch (fault) {
    reader.destroy();
    throw fault;
  }
}

function layoutOf(file: StoredFile, keys: MessageKeys): MessageLayout {
  const layout = MessageLayout.ofMessage(headerSize(file.context), file.encryptedSize, keys.frameBytes);
  if (layout?.plaintextSize !== file.plaintextSize) throw decryptionFailed('size');
  return layout;
}

function engineFor(run: FrameRun, keys: MessageKeys, pool: FramePool): FrameEngine {
  const job = { key: Buffer.from(keys.frameKey.bytes), messageId: keys.messageId, frameBytes: keys.frameBytes };
  return run.last - run.first < batchFrames(keys.frameBytes) ? new InlineEngine(job) : pool.engine(job);
}

/**
 * Returns a stream over verified pieces. Waits for the first piece, so that nothing is returned
 * before it has verified.
 */
async function verifiedStream(pieces: AsyncGenerator<Buffer, void>, source: ExactReader): Promise<Readable> {
  let first: IteratorResult<Buffer, void> | undefined = await pieces.next();
  return new Readable({
    highWaterMark: FRAME_BYTES,
    read() {
      const next = first === undefined ? pieces.next() : Promise.resolve(first);
      first = undefined;
      next.then(
        (result) => this.push(result.done === true ? null : result.value),
        (fault: unknown) => this.destroy(fault as Error),
      );
    },
    destroy(fault, done) {
      source.destroy();
      void quiet(pieces.return());
      done(fault);
    },
  });
}
