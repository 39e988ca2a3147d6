import { collectUntilFault, encrypted, noWorkers, sampleBytes, storedFile } from '../../../test/support/messages';
import { isLong } from '../../../test/support/parts';
import { Seeded } from '../../../test/support/seeded';
import { wallOf } from '../format-fault';
import { newKey } from '../random';
import { FileContext } from './file-context';
import { FileMessages } from './file-messages';
import { headerSize } from './header';
import { parseHeader } from './header-parser';

const ROUNDS = isLong() ? 400_000 : 4_000;
const random = new Seeded();
const context: FileContext = { fileId: 'f1', ownerId: 'o1', version: 3 };
const HEADER = headerSize(context);
const SIZE = 300;
const fileKey = newKey();
const messages = new FileMessages(noWorkers());
const plaintext = sampleBytes(SIZE);

/** Lengths and counts that parsers often get wrong. */
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x400, 0x401, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

type Mutation = (bytes: Buffer) => Buffer;

const at = (bytes: Buffer, room = 1): number => random.below(Math.max(1, bytes.length - room + 1));

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes) {
    const place = at(bytes);
    bytes[place] = (bytes[place] ?? 0) ^ (1 << random.below(8));
    return bytes;
  },
  function setByte(bytes) {
    bytes[at(bytes)] = random.below(256);
    return bytes;
  },
  function setLength16(bytes) {
    if (bytes.length >= 2) bytes.writeUInt16BE(random.pick(EDGES) & 0xffff, at(bytes, 2));
    return bytes;
  },
  function setLength32(bytes) {
    if (bytes.length >= 4) bytes.writeUInt32BE(random.pick(EDGES), at(bytes, 4));
    return bytes;
  },
  (bytes) => bytes.subarray(0, at(bytes)),
  (bytes) => bytes.subarray(at(bytes)),
  function insert(bytes) {
    const place = at(bytes);
    return Buffer.concat([bytes.subarray(0, place), random.bytes(random.below(40)), bytes.subarray(place)]);
  },
  function remove(bytes) {
    const place = at(bytes);
    return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + random.below(40))]);
  },
  function repeat(bytes) {
    const from = at(bytes);
    const piece = bytes.subarray(from, from + random.below(100));
    return Buffer.concat([bytes.subarray(0, from), piece, bytes.subarray(from)]);
  },
  () => random.bytes(random.below(HEADER * 2)),
];

/** One to four mutations in sequence. */
function mutated(bytes: Buffer): Buffer {
  let result = Buffer.from(bytes);
  for (let left = 1 + random.below(4); left > 0; left -= 1) result = Buffer.from(random.pick(MUTATIONS)(result));
  return result;
}

/** The name of the failed check. Any other error is a defect of the parser. */
function wallIn(fault: unknown, bytes: Buffer): string {
  const wall = wallOf(fault);
  if (wall === undefined) throw new Error(`${String(fault)} for ${bytes.toString('hex')}`, { cause: fault });
  return wall;
}

describe(`mutated messages, ${ROUNDS} with COFFER_SEED=${random.seed}`, () => {
  let message: Buffer;
  beforeAll(async () => ({ message } = await encrypted(messages, fileKey, context, plaintext)));

  it('are parsed into pieces of bounded size, or refused at a wall, and nothing else happens', () => {
    const walls = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const header = mutated(message.subarray(0, HEADER));
      let wall = 'parsed';
      try {
        const parsed = parseHeader(header);
        // Views of the input, never memory of a size that the input claims.
        for (const piece of [parsed.context, parsed.wrappedDataKey, parsed.body])
          expect(piece.buffer).toBe(header.buffer);
        expect(parsed.frameBytes).toBeLessThanOrEqual(1024 * 1024);
      } catch (fault) {
        wall = wallIn(fault, header);
      }
      walls.set(wall, (walls.get(wall) ?? 0) + 1);
    }
    // A fuzzer that always fails at the first check tests nothing.
    expect([...walls.keys()]).toEqual(
      expect.arrayContaining(['parsed', 'suite', 'header-length', 'context-length', 'data-key-count', 'content-type']),
    );
  }, 600_000);

  it('never give a byte that was not in the file', async () => {
    const before = process.memoryUsage().arrayBuffers;
    for (let round = 0; round < ROUNDS / 4; round += 1) {
      const forged = mutated(message);
      const file = storedFile(fileKey, context, forged, SIZE, random.below(2) === 0 ? forged.length : message.length);
      let served: Buffer;
      let fault: unknown;
      try {
        ({ bytes: served, fault } = await collectUntilFault(await messages.open(file)));
      } catch (refusal) {
        wallIn(refusal, forged);
        continue;
      }
      if (fault !== undefined) wallIn(fault, forged);
      const right =
        fault === undefined ? served.equals(plaintext) : plaintext.subarray(0, served.length).equals(served);
      if (!right) throw new Error(`wrong bytes for ${forged.toString('hex')}`);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  }, 600_000);
});
