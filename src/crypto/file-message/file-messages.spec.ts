import { Readable } from 'node:stream';
import * as fc from 'fast-check';
import {
  collect,
  encrypted,
  noWorkers,
  pieces,
  sampleBytes,
  sourceWorkers,
  storedFile,
} from '../../../test/support/messages';
import { DomainError, burstsOf } from '../../kernel';
import { sha256 } from '../hash';
import { newKey } from '../random';
import { FileContext } from './file-context';
import { FileMessages } from './file-messages';
import { FRAME_BYTES } from './layout';

const MIB = 1024 * 1024;
const context: FileContext = { fileId: 'f1', ownerId: 'o1', version: 3 };
const fileKey = newKey();

const aroundFrames = fc
  .tuple(fc.integer({ min: 0, max: 34 }), fc.integer({ min: -2, max: 2 }))
  .map(([frames, offset]) => Math.max(0, frames * FRAME_BYTES + offset));

describe.each([
  { where: 'on the calling thread', pool: noWorkers },
  { where: 'in a worker', pool: sourceWorkers },
])('file messages $where', ({ pool }) => {
  const messages = new FileMessages(pool());
  beforeAll(() => sampleBytes(4 * MIB));
  afterAll(() => messages.close());

  it('give back what went in, whatever the size and the pieces', async () => {
    await fc.assert(
      fc.asyncProperty(aroundFrames, fc.integer({ min: 1000, max: 3 * MIB }), async (size, pieceSize) => {
        const plaintext = sampleBytes(size);
        const { message, summary } = await encrypted(messages, fileKey, context, plaintext, pieceSize);
        const opened = await collect(await messages.open(storedFile(fileKey, context, message, size)));
        expect(opened.equals(plaintext)).toBe(true);
        expect(summary).toEqual({
          plaintextSize: size,
          sha256: sha256(plaintext).toString('hex'),
          encryptedSize: message.length,
        });
        expect(messages.encryptedSize(context, size)).toBe(message.length);
      }),
      { numRuns: 40 },
    );
  });

  it.each([0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1])(
    'give back %i bytes that come in one piece',
    async (size) => {
      const plaintext = sampleBytes(size);
      const { message } = await encrypted(messages, fileKey, context, plaintext, size || 1);
      const opened = await collect(await messages.open(storedFile(fileKey, context, message, size)));
      expect(opened.equals(plaintext)).toBe(true);
    },
  );

  it('give back any range', async () => {
    const size = 2 * MIB + FRAME_BYTES + 100;
    const plaintext = sampleBytes(size);
    const { message } = await encrypted(messages, fileKey, context, plaintext);
    const position = fc.oneof(
      fc.nat({ max: size - 1 }),
      aroundFrames.map((at) => Math.min(at, size - 1)),
    );
    await fc.assert(
      fc.asyncProperty(position, position, async (one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        const stream = await messages.open(storedFile(fileKey, context, message, size), { start, end });
        expect((await collect(stream)).equals(plaintext.subarray(start, end + 1))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('carry several files at once without mixing them up', async () => {
    const files = [1, 2, 3, 4].map((n) => sampleBytes(n * MIB + n));
    const made = await Promise.all(files.map((bytes) => encrypted(messages, fileKey, context, bytes)));
    const opened = await Promise.all(
      made.map(async ({ message, summary }) =>
        collect(await messages.open(storedFile(fileKey, context, message, summary.plaintextSize))),
      ),
    );
    expect(opened.map((bytes, index) => bytes.equals(files[index]!))).toEqual([true, true, true, true]);
  });

  it('pass on the fault of a source in the middle', async () => {
    async function* broken(): AsyncGenerator<Buffer> {
      yield* pieces(sampleBytes(3 * MIB));
      throw new DomainError('too_large');
    }
    await expect(collect(messages.encrypt(fileKey, context, burstsOf(broken())))).rejects.toMatchObject({
      code: 'too_large',
    });
  });

  it('let go of the source when the reader of the message stops early', async () => {
    let ended: () => void = () => undefined;
    const left = new Promise<void>((resolve) => (ended = resolve));
    async function* endless(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield await Promise.resolve(Buffer.alloc(FRAME_BYTES));
      } finally {
        ended();
      }
    }
    for await (const bytes of messages.encrypt(fileKey, context, burstsOf(endless())))
      if (bytes.length > FRAME_BYTES) break;
    await left;
  });

  it('let go of the blob when a download is destroyed', async () => {
    const size = 8 * MIB;
    const { message } = await encrypted(messages, fileKey, context, sampleBytes(size));
    const blobs: Readable[] = [];
    const file = storedFile(fileKey, context, message, size);
    const stream = await messages.open({
      ...file,
      read: async (span) => {
        const blob = await file.read(span);
        blobs.push(blob);
        return blob;
      },
    });
    stream.destroy();
    await new Promise((resolve) => stream.once('close', resolve));
    expect(blobs.map((blob) => blob.destroyed)).toEqual([true, true]);
  });
});

describe('one encryption', () => {
  const messages = new FileMessages(noWorkers());
  const encryption = () => messages.encrypt(fileKey, context, burstsOf(pieces(Buffer.from('once'))));

  it('cannot be iterated twice, which would repeat nonces', async () => {
    const once = encryption();
    await collect(once);
    expect(() => once[Symbol.asyncIterator]()).toThrow(TypeError);
  });

  it('has no summary before its end', async () => {
    const unfinished = encryption();
    for await (const _ of unfinished) break;
    expect(() => unfinished.summary).toThrow(TypeError);
  });

  it('has a data key and a message id of its own', async () => {
    const [one, other] = [await collect(encryption()), await collect(encryption())];
    expect(one.subarray(3, 35).equals(other.subarray(3, 35))).toBe(false);
    expect(one.subarray(-20).equals(other.subarray(-20))).toBe(false);
  });

  it('does not need the file key once it exists', async () => {
    const short = newKey();
    const started = messages.encrypt(short, context, burstsOf(pieces(Buffer.from('x'))));
    short.destroy();
    await expect(collect(started)).resolves.toBeInstanceOf(Buffer);
  });
});

describe('a range that is not within the plaintext', () => {
  it.each([
    { start: 0, end: 10 },
    { start: 5, end: 4 },
    { start: -1, end: 0 },
  ])('is a mistake of ours: $start to $end of 10', async (range) => {
    const messages = new FileMessages(noWorkers());
    const { message } = await encrypted(messages, fileKey, context, sampleBytes(10));
    await expect(messages.open(storedFile(fileKey, context, message, 10), range)).rejects.toThrow(RangeError);
  });
});
