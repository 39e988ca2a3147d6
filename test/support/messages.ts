import { join } from 'node:path';
import { Readable } from 'node:stream';
import { FileContext, FileMessages, FramePool, FileSummary, Span, StoredFile } from '../../src/crypto';
import { ChunkBatch, SecretBytes, burstsOf } from '../../src/kernel';

/**
 * A pool whose workers load the sources as they are, so that a test exercises the worker without a
 * build.
 */
export const sourceWorkers = (workers = 1): FramePool =>
  new FramePool({
    workers,
    worker: {
      file: join(__dirname, '../../src/crypto/file-message/frame-worker.ts'),
      execArgv: ['--require', join(__dirname, 'typescript-hook.cjs')],
    },
  });

/** A pool that has no worker: all work is done on the calling thread. */
export const noWorkers = (): FramePool => new FramePool({ worker: { file: '' } });

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function inOne(source: AsyncIterable<ChunkBatch>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const burst of source) chunks.push(...burst);
  return Buffer.concat(chunks);
}

/** What came before the stream failed, and the fault. */
export async function collectUntilFault(source: AsyncIterable<Uint8Array>): Promise<{ bytes: Buffer; fault: unknown }> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of source) chunks.push(chunk);
  } catch (fault) {
    return { bytes: Buffer.concat(chunks), fault };
  }
  return { bytes: Buffer.concat(chunks), fault: undefined };
}

/** A stream of bytes in pieces of `size`. */
export async function* pieces(bytes: Buffer, size = 64 * 1024): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size)
    yield await Promise.resolve(bytes.subarray(start, start + size));
}

export interface Made {
  readonly message: Buffer;
  readonly summary: FileSummary;
}

export async function encrypted(
  messages: FileMessages,
  fileKey: SecretBytes,
  context: FileContext,
  plaintext: Buffer,
  pieceSize?: number,
): Promise<Made> {
  const encryption = messages.encrypt(fileKey, context, burstsOf(pieces(plaintext, pieceSize)));
  const message = await collect(encryption);
  return { message, summary: encryption.summary };
}

/** A message as a blob store and a file row would hold it. */
export function storedFile(
  fileKey: SecretBytes,
  context: FileContext,
  message: Buffer,
  plaintextSize: number,
  encryptedSize = message.length,
): StoredFile {
  const read = ({ start, end }: Span): Promise<Readable> =>
    Promise.resolve(Readable.from(pieces(message.subarray(start, end + 1), 50_000)));
  return { fileKey, context, plaintextSize, encryptedSize, read };
}

let sample: Buffer = Buffer.alloc(0);

/** Bytes that differ from place to place, the same at each call. Not to be written to. */
export function sampleBytes(size: number): Buffer {
  if (sample.length < size) sample = generated(size);
  return sample.subarray(0, size);
}

function generated(size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = 0x2545f491;
  for (let index = 0; index < words.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    words[index] = state;
  }
  return Buffer.from(words.buffer).subarray(0, size);
}
