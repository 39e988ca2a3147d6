// Run as a child process: streams COFFER_STREAM_MIB through an encryption and its decryption at
// once and prints by how much resident memory grew over what a small file took. Nothing is stored:
// the message is read as it is written.
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FileMessages, newKey, Span } from '../../src/crypto';
import { burstsOf } from '../../src/kernel';
import { sourceWorkers } from './messages';

const MIB = 1024 * 1024;
const context = { fileId: 'f1', ownerId: 'o1', version: 1 };
const messages = new FileMessages(sourceWorkers());

async function* zeros(mib: number): AsyncGenerator<Buffer> {
  for (let count = 0; count < mib * 16; count++) yield await Promise.resolve(Buffer.alloc(MIB / 16));
}

/** A message's bytes as they are made, behind a read of its header and then of its frames. */
function tapped(message: PassThrough): (span: Span) => Promise<Readable> {
  return async ({ start, end }) => {
    if (start > 0) return message;
    while (message.readableLength <= end) await new Promise((resolve) => message.once('readable', resolve));
    return Readable.from([message.read(end + 1) as Buffer]);
  };
}

async function roundTrip(mib: number, watch: () => void): Promise<void> {
  const fileKey = newKey();
  const message = new PassThrough({ highWaterMark: MIB });
  const written = pipeline(messages.encrypt(fileKey, context, burstsOf(zeros(mib))), message);
  const plaintextSize = mib * MIB;
  const encryptedSize = messages.encryptedSize(context, plaintextSize);
  const opened = await messages.open({ fileKey, context, plaintextSize, encryptedSize, read: tapped(message) });
  let seen = 0;
  for await (const bytes of opened) {
    seen += (bytes as Buffer).length;
    watch();
  }
  await written;
  if (seen !== plaintextSize) throw new Error('bytes were lost');
}

async function main(): Promise<void> {
  for (let warmUp = 0; warmUp < 3; warmUp++) await roundTrip(16, () => undefined);
  const before = process.memoryUsage.rss();
  let most = before;
  await roundTrip(Number(process.env['COFFER_STREAM_MIB']), () => (most = Math.max(most, process.memoryUsage.rss())));
  process.stdout.write(JSON.stringify({ grownMiB: Math.round((most - before) / MIB) }));
  await messages.close();
}

void main();
