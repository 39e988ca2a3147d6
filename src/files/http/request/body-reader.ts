import { IncomingMessage } from 'node:http';
import { ChunkBatch } from '../../../kernel/index';

/** What may wait for its reader: few enough bytes to be in a core's cache still when they are copied to their frames. */
const MOST_BYTES = 512 * 1024;

/**
 * What came of a request's body and has not been taken yet. Chunks come from the socket in bursts of 64 KiB, and each hop of a promise costs
 * as much as copying some 100 KiB, so a reader that waits is called once a turn of the event loop and given all of it.
 */
export class BodyReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #over: 'ended' | 'broken' | undefined;
  #wake: (() => void) | undefined;
  #stopped = false;

  constructor(private readonly request: IncomingMessage) {
    if (request.readableEnded) this.#over = 'ended';
    else if (request.destroyed) this.#over = 'broken';
    // 'error' keeps its listener: one that comes after the end must not count as unhandled.
    request.on('error', this.#broken).on('close', this.#broken).on('end', this.#ended).on('data', this.#take);
  }

  /** All that is there, or what comes next; undefined at the end. @throws Error where the body breaks off, once what came before is taken. */
  async next(): Promise<ChunkBatch | undefined> {
    if (this.#bytes === 0 && this.#over === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#bytes > 0) return this.#taken();
    if (this.#over === 'broken') throw new Error('the body broke off');
    return undefined;
  }

  /** Lets what still comes run through unread, so that the sender comes to see the answer; http/ ends the connection if that takes long. */
  stop(): void {
    this.#stopped = true;
    this.#chunks = [];
    this.request.off('data', this.#take).off('close', this.#broken).off('end', this.#ended);
    this.request.resume();
  }

  #taken(): ChunkBatch {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    if (this.request.isPaused()) this.request.resume();
    return chunks;
  }

  #take = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= MOST_BYTES) this.request.pause();
    this.#wakeUp();
  };

  #ended = (): void => this.#finish('ended');
  #broken = (): void => this.#finish('broken');

  #finish(how: 'ended' | 'broken'): void {
    this.#over ??= how;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    if (wake !== undefined && !this.#stopped) setImmediate(wake);
  }
}
