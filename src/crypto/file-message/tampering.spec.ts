import { Readable } from 'node:stream';
import {
  collect,
  collectUntilFault,
  encrypted,
  noWorkers,
  sampleBytes,
  sourceWorkers,
  storedFile,
} from '../../../test/support/messages';
import { SecretBytes, burstsOf, isDomainError } from '../../kernel';
import { wallOf } from '../format-fault';
import { newKey } from '../random';
import { FileContext } from './file-context';
import { FileMessages } from './file-messages';
import { headerSize } from './header';
import { FRAME_BYTES, Span } from './layout';
import { StoredFile } from './open-file';

const STRIDE = FRAME_BYTES + 32;
const context: FileContext = { fileId: 'f1', ownerId: 'o1', version: 3 };
const HEADER = headerSize(context);
const fileKey = newKey();
const messages = new FileMessages(noWorkers());
const size = 4 * FRAME_BYTES + 100;
const plaintext = sampleBytes(size);
let message: Buffer;

beforeAll(async () => {
  ({ message } = await encrypted(messages, fileKey, context, plaintext));
});

/** The check that rejected the message at open, or the bytes served before a later failure. */
async function refusal(
  file: StoredFile,
  range?: Span,
  codec = messages,
): Promise<{ wall: string; served: Buffer | undefined }> {
  let stream: Readable;
  try {
    stream = await codec.open(file, range);
  } catch (fault) {
    return { wall: wallIn(fault), served: undefined };
  }
  const { bytes, fault } = await collectUntilFault(stream);
  return { wall: fault === undefined ? 'served' : wallIn(fault), served: bytes };
}

function wallIn(fault: unknown): string {
  if (!isDomainError(fault, 'decryption_failed')) throw fault;
  return wallOf(fault) ?? 'no wall';
}

const flipped = (at: number, bit = 0): Buffer => {
  const forged = Buffer.from(message);
  forged.writeUInt8(forged.readUInt8(at) ^ (1 << bit), at);
  return forged;
};

const frame = (sequence: number): Buffer =>
  message.subarray(HEADER + (sequence - 1) * STRIDE, Math.min(message.length, HEADER + sequence * STRIDE));

const withFrames = (...sequences: number[]): Buffer =>
  Buffer.concat([message.subarray(0, HEADER), ...sequences.map(frame)]);

const file = (bytes: Buffer, key: SecretBytes = fileKey, of = context): StoredFile =>
  storedFile(key, of, bytes, size, message.length);

describe('a flipped bit in the header', () => {
  it('is refused wherever it is, before anything is served', async () => {
    for (let at = 0; at < HEADER; at++) {
      const { wall, served } = await refusal(file(flipped(at, at % 8)));
      expect([wall === 'served', served]).toEqual([false, undefined]);
    }
  });

  it.each([
    ['the format version', 0, 'suite'],
    ['the suite', 2, 'suite'],
    ['the message id', 10, 'commitment'],
    ['the context', 35 + 2 + 4, 'context'],
    ['the commitment', -16 - 1, 'commitment'],
    ['the tag', -1, 'header-tag'],
    ['the encrypted data key', -16 - 32 - 4 - 1 - 1, 'data-key'],
    ['the content type', -16 - 32 - 4 - 1, 'content-type'],
    ['the frame length', -16 - 32 - 1, 'frame-length'],
  ])('in %s stops at a wall of its own', async (_name, at, wall) => {
    expect(await refusal(file(flipped(at < 0 ? HEADER + at : at)))).toEqual({ wall, served: undefined });
  });

  it('in the frame length that leaves a valid one is stopped by the tag', async () => {
    const forged = Buffer.from(message);
    forged.writeUInt32BE(FRAME_BYTES / 2, HEADER - 16 - 32 - 4);
    expect((await refusal(file(forged))).wall).toBe('header-tag');
  });
});

describe('a flipped bit in a frame', () => {
  it.each([
    ['sequence number', 3, 'frame-order'],
    ['nonce', 4, 'frame-nonce'],
    ['first byte', 16, 'frame-tag'],
    ['last byte', 16 + FRAME_BYTES - 1, 'frame-tag'],
    ['tag', STRIDE - 1, 'frame-tag'],
  ])('in its %s is refused before anything is served, in the first frame asked for', async (_name, at, wall) => {
    expect(await refusal(file(flipped(HEADER + at)))).toEqual({ wall, served: undefined });
  });

  it.each([2, 3, 4])('%i breaks the stream right behind the frames that verified', async (sequence) => {
    const { wall, served } = await refusal(file(flipped(HEADER + (sequence - 1) * STRIDE + 500)));
    expect(wall).toBe('frame-tag');
    expect(served?.equals(plaintext.subarray(0, (sequence - 1) * FRAME_BYTES))).toBe(true);
  });

  it.each([
    ['marker', 0, 'final-frame'],
    ['sequence number', 7, 'frame-order'],
    ['nonce', 19, 'frame-nonce'],
    ['length', 23, 'frame-length'],
    ['bytes', 24, 'frame-tag'],
    ['tag', 24 + 100 + 15, 'frame-tag'],
  ])('in the %s of the final frame is refused', async (_name, at, wall) => {
    const { wall: stopped, served } = await refusal(file(flipped(HEADER + 4 * STRIDE + at)));
    expect([stopped, served?.length]).toEqual([wall, 4 * FRAME_BYTES]);
  });

  it('outside the range asked for does not matter to that range', async () => {
    const range = { start: 2 * FRAME_BYTES, end: 3 * FRAME_BYTES - 1 };
    const { wall, served } = await refusal(file(flipped(HEADER + 500)), range);
    expect([wall, served?.equals(plaintext.subarray(range.start, range.end + 1))]).toEqual(['served', true]);
  });

  it('inside the range asked for is refused before anything is served', async () => {
    const range = { start: FRAME_BYTES + 5, end: FRAME_BYTES + 6 };
    expect(await refusal(file(flipped(HEADER + STRIDE + 500)), range)).toEqual({
      wall: 'frame-tag',
      served: undefined,
    });
  });
});

describe('frames that were moved', () => {
  it.each([
    ['swapped', [2, 1, 3, 4, 5], 'frame-order', undefined],
    ['swapped later', [1, 3, 2, 4, 5], 'frame-order', 1],
    ['doubled', [1, 1, 3, 4, 5], 'frame-order', 1],
  ])('are refused: %s', async (_name, order, wall, verified) => {
    const { wall: stopped, served } = await refusal(file(withFrames(...order)));
    expect([stopped, served?.length]).toEqual([wall, verified === undefined ? undefined : verified * FRAME_BYTES]);
  });

  it('with their numbers written anew are refused by their tag', async () => {
    const forged = withFrames(2, 1, 3, 4, 5);
    message.copy(forged, HEADER, HEADER, HEADER + 16);
    expect((await refusal(file(forged))).wall).toBe('frame-tag');
  });

  it('into another message of the same file are refused', async () => {
    const other = await encrypted(messages, fileKey, context, plaintext);
    const spliced = Buffer.concat([other.message.subarray(0, HEADER), message.subarray(HEADER)]);
    expect(await refusal(file(spliced))).toEqual({ wall: 'frame-tag', served: undefined });
  });
});

describe('a cut message', () => {
  it.each([
    ['off a frame boundary', () => message.subarray(0, HEADER + 2 * STRIDE + 7)],
    ['at a frame boundary', () => message.subarray(0, HEADER + 4 * STRIDE)],
    ['by one byte', () => message.subarray(0, -1)],
    ['in its header', () => message.subarray(0, HEADER - 1)],
    ['to nothing', () => Buffer.alloc(0)],
  ])('%s is refused', async (_name, cut) => {
    expect((await refusal(file(cut()))).wall).toBe('truncated');
  });

  it('is refused before anything is served where the store tells its size', async () => {
    const cut = message.subarray(0, HEADER + 4 * STRIDE);
    expect(await refusal({ ...file(cut), storedSize: cut.length })).toEqual({ wall: 'stored-size', served: undefined });
  });

  it('at a frame boundary is refused even where the row was made to agree', async () => {
    const cut = message.subarray(0, HEADER + 3 * STRIDE);
    const last = FRAME_BYTES - 8;
    const agreed = storedFile(fileKey, context, cut, 2 * FRAME_BYTES + last);
    expect((await refusal(agreed)).wall).toBe('final-frame');
  });

  it.each([0, HEADER, HEADER + 39])('whose row says %i bytes is refused', async (encryptedSize) => {
    expect(await refusal({ ...file(message), encryptedSize })).toEqual({ wall: 'size', served: undefined });
  });

  it('whose row says another plaintext size is refused', async () => {
    expect(await refusal({ ...file(message), plaintextSize: size - 1 })).toEqual({ wall: 'size', served: undefined });
  });
});

describe('trailing bytes', () => {
  const longer = (): Buffer => Buffer.concat([message, Buffer.from('more')]);

  it('are refused where the store tells its size', async () => {
    expect((await refusal({ ...file(longer()), storedSize: longer().length })).wall).toBe('stored-size');
  });

  it('are never served', async () => {
    expect((await refusal(file(longer()))).served?.equals(plaintext)).toBe(true);
  });

  it('are refused where the row was made to agree', async () => {
    const agreed = storedFile(fileKey, context, longer(), size + 4);
    expect((await refusal(agreed)).wall).toBe('frame-length');
  });
});

describe('a message of something else', () => {
  it.each<[string, FileContext]>([
    ['another file', { ...context, fileId: 'f2' }],
    ['another owner', { ...context, ownerId: 'o2' }],
    ['another version', { ...context, version: 4 }],
  ])('is refused: %s', async (_name, other) => {
    const { message: theirs } = await encrypted(messages, fileKey, other, plaintext);
    expect(await refusal(file(theirs))).toEqual({ wall: 'context', served: undefined });
  });

  it('is refused: a staged upload attempt of the same file', async () => {
    const { message: theirs } = await encrypted(messages, fileKey, { ...context, attempt: 1 }, plaintext);
    expect((await refusal(file(theirs))).served).toBeUndefined();
  });

  it('is refused with the wrong file key', async () => {
    expect(await refusal(file(message, newKey()))).toEqual({ wall: 'data-key', served: undefined });
  });

  it('is refused with the context rewritten to the expected one', async () => {
    const other: FileContext = { ...context, ownerId: 'o2' };
    const { message: theirs } = await encrypted(messages, fileKey, other, plaintext);
    const at = theirs.indexOf('o2');
    theirs.write('o1', at);
    expect(await refusal(file(theirs))).toEqual({ wall: 'data-key', served: undefined });
  });
});

describe('a small message', () => {
  it.each([0, 1, 100])('of %i bytes is refused for each flipped byte', async (small) => {
    const made = await encrypted(messages, fileKey, context, sampleBytes(small));
    for (let at = 0; at < made.message.length; at++) {
      const forged = Buffer.from(made.message);
      forged.writeUInt8(forged.readUInt8(at) ^ 0x80, at);
      const { wall, served } = await refusal(storedFile(fileKey, context, forged, small));
      expect([wall === 'served', served]).toEqual([false, undefined]);
    }
  });

  it('that is empty is not served in place of one that is not', async () => {
    const empty = await encrypted(messages, fileKey, context, Buffer.alloc(0));
    expect((await refusal(file(empty.message))).served).toBeUndefined();
  });
});

describe('a fault in a worker', () => {
  const inWorkers = new FileMessages(sourceWorkers());
  afterAll(() => inWorkers.close());
  const big = 3 * 1024 * 1024;

  it('looks like one on the calling thread, and verified bytes go out before it', async () => {
    const made = await encrypted(inWorkers, fileKey, context, sampleBytes(big));
    const at = HEADER + 20 * STRIDE + 16;
    made.message.writeUInt8(made.message.readUInt8(at) ^ 1, at);
    const { wall, served } = await refusal(storedFile(fileKey, context, made.message, big), undefined, inWorkers);
    expect([wall, served?.equals(sampleBytes(20 * FRAME_BYTES))]).toEqual(['frame-tag', true]);
  });

  it('does not keep the worker from its next file', async () => {
    const made = await encrypted(inWorkers, fileKey, context, sampleBytes(big));
    const opened = await collect(await inWorkers.open(storedFile(fileKey, context, made.message, big)));
    expect(opened.equals(sampleBytes(big))).toBe(true);
  });

  it('that dies fails the files in work, and the next file gets a new one', async () => {
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) yield await Promise.resolve(sampleBytes(FRAME_BYTES));
    }
    const broken = (async () => {
      let seen = 0;
      for await (const bytes of inWorkers.encrypt(fileKey, context, burstsOf(endless()))) {
        seen += bytes.length;
        if (seen === HEADER + 8 * STRIDE) await inWorkers.close();
      }
    })();
    await expect(broken).rejects.toThrow('worker');
    const made = await encrypted(inWorkers, fileKey, context, sampleBytes(big));
    expect(made.summary.plaintextSize).toBe(big);
  });
});
