import { Readable } from 'node:stream';
import { SECOND } from '../../kernel';
import { s3Fault } from './faults';

/** A server that sends nothing for this long, while somebody waits for it, is given up. A slow reader is nobody who waits. */
const IDLE = 10 * SECOND;
const AHEAD_BYTES = 512 * 1024;

/** The body of an answer as a stream whose errors are the port's. Destroying it ends the connection at once. */
export function bodyStream(body: Readable): Readable {
  const stream = Readable.from(chunksOf(body), { objectMode: false, highWaterMark: AHEAD_BYTES });
  // The generator cannot see this while it waits for a chunk.
  stream.once('close', () => body.destroy());
  return stream;
}

async function* chunksOf(body: Readable): AsyncIterable<Buffer> {
  let waits = true;
  const timer = setTimeout(() => (waits ? body.destroy(new Error('The body has stalled.')) : timer.refresh()), IDLE);
  timer.unref();
  try {
    for await (const chunk of body) {
      waits = false;
      yield chunk as Buffer;
      waits = true;
      timer.refresh();
    }
  } catch (error) {
    throw s3Fault(error);
  } finally {
    clearTimeout(timer);
  }
}
