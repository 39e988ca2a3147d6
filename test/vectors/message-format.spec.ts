import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openHeader } from '../../src/crypto/file-message/header';
import { wallOf } from '../../src/crypto/format-fault';
import { newKey } from '../../src/crypto';
import { SecretBytes } from '../../src/kernel';
import { openLeniently } from '../support/lenient-message';
import { describeWithVectors } from '../support/parts';

interface MessageVector {
  readonly comment: string;
  readonly ciphertext: string;
  readonly 'decrypted-dek': string;
  readonly 'plaintext-frames': readonly string[] | null;
  readonly status: boolean;
}

/**
 * The wall that stops each vector, by its number, before a key is touched: our reader takes one
 * suite, one data key as a raw AES keyring writes it, and a context of ours, whatever else a vector
 * is made to show. What lies behind (frame lengths, unframed bodies, the commitment) is tried by
 * the lenient reader, which shares key derivation and additional data with ours.
 */
const LABELS = {
  suite: [3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 25, 26, 27, 32, 33, 34, 35, 37, 38, 43, 44, 45, 46],
  'data-key-count': [4, 6, 8, 10, 12, 14, 16, 18, 20],
  'data-key-lengths': [22, 23, 24, 28, 29, 30, 31, 36, 39, 40, 41, 42],
  context: [1, 2],
};

const labels = (): Record<string, string> =>
  Object.fromEntries(Object.entries(LABELS).flatMap(([wall, numbers]) => numbers.map((number) => [number, wall])));

const numberOf = ({ comment }: MessageVector): number => Number.parseInt(comment, 10);

function wallIn(act: () => unknown): string {
  try {
    act();
  } catch (fault) {
    return wallOf(fault) ?? String(fault);
  }
  return 'none';
}

function strictWall(message: Buffer): string {
  const header = message.subarray(0, headerEnd(message));
  const context = { fileId: 'f1', ownerId: 'o1', version: 1 };
  return wallIn(() => openHeader(header, newKey(), context));
}

/** Where a message's header ends, read as its lengths say. */
function headerEnd(message: Buffer): number {
  let position = 3 + 32;
  const skipBlock = (): void => void (position += 2 + message.readUInt16BE(position));
  skipBlock();
  const blocks = 3 * message.readUInt16BE(position);
  position += 2;
  for (let block = 0; block < blocks; block += 1) skipBlock();
  return position + 1 + 4 + 32 + 16;
}

describeWithVectors('the published vectors of the message format', (folder) => {
  const all = (): MessageVector[] => {
    const text = readFileSync(join(folder, 'aws-esdk-message-v2.json'), 'utf8');
    return (JSON.parse(text) as { tests: MessageVector[] }).tests;
  };
  const open = (vector: MessageVector): Buffer =>
    openLeniently(
      Buffer.from(vector.ciphertext, 'base64'),
      new SecretBytes(Buffer.from(vector['decrypted-dek'], 'base64')),
    );

  it('open to their plaintext, by our key derivation, commitment and additional data', () => {
    const valid = all().filter(({ status }) => status);
    const wrong = valid.filter((vector) => {
      return open(vector).toString('utf8') !== (vector['plaintext-frames'] ?? []).join('');
    });
    expect({ wrong: wrong.map(({ comment }) => comment), compared: valid.length }).toEqual({ wrong: [], compared: 41 });
  });

  it('are refused where their data key does not match the commitment, each of them at that wall', () => {
    const invalid = all().filter(({ status }) => !status);
    expect(invalid.map(numberOf)).toEqual([2, 12, 13, 20, 21]);
    for (const vector of invalid) expect(() => open(vector)).toThrow('commitment');
  });

  it('are each stopped by the wall of our reader that its label names', () => {
    expect(Object.keys(labels())).toHaveLength(all().length);
    const stopped = all().map((vector) => [numberOf(vector), strictWall(Buffer.from(vector.ciphertext, 'base64'))]);
    expect(Object.fromEntries(stopped)).toEqual(labels());
  });

});
