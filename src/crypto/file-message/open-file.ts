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

/** A message up to this size is fetched whole, header and frames in one read. */
const ONE_READ_BYTES = 4 * FRAME_BYTES;

/** A stored message and what its row says of it. */
export interface StoredFile {
  readonly fileKey: SecretBytes;
  readonly context: FileContext;
  /** Both sizes come from an authenticated place (the sealed file row): they are what a cut or spliced message is held against. */
  readonly plaintextSize: number;
  readonly encryptedSize: number;
  /** Size of the blob as its store tells it, where that is known: a difference is refused before a byte is served. */
  readonly storedSize?: number;
  /** `chunkBytes`: the size of the chunks that are wanted, where the store can choose it. */
  read(span: Span, chunkBytes?: number): Promise<Readable>;
}

/**
 * Decrypts a stored message, or the plaintext bytes `range` of it, in constant memory. Resolves once the header and the first frame
 * asked for have verified, so the caller may still refuse; a later fault destroys the stream after the bytes that did verify. The range
 * lies within the plaintext. The file key is not needed once this has resolved.
 * @throws DomainError `decryption_failed` whatever is wrong with the message; what `read` throws goes through.
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

/** Verifies the header. A small message comes in one read: then `rest` goes on right behind the header. */
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

/** A stream over verified pieces whose first one is in hand: until it has verified, nothing is returned. */
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
