import { IncomingMessage } from 'node:http';
import { ChunkBatch, DomainError, SECOND, TransferAborted, bytesIn, release } from '../../../kernel';

/**
 * Bytes that wait for their reader: few enough to be in a core's cache still when they are copied
 * to frames.
 */
const MOST_BYTES = 512 * 1024;

/**
 * The part of a request's body that came and has not been read. Chunks of 64 KiB come in bursts,
 * and a promise costs as much as copying 100 KiB: a waiting reader gets all of a turn of the event
 * loop at once.
 */
class BodyReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #over: 'ended' | 'broken' | undefined;
  #wake: (() => void) | undefined;
  #stopped = false;

  constructor(private readonly request: IncomingMessage) {
    if (request.readableEnded) this.#over = 'ended';
    else if (request.destroyed) this.#over = 'broken';
    // The listener of 'error' stays: an error after the end must not be unhandled.
    request.on('error', this.#broken).on('close', this.#broken).on('end', this.#ended).on('data', this.#take);
  }

  /**
   * All that came, or what comes next; undefined at the end.
   * @throws Error where the body breaks off, after what came before.
   */
  async next(): Promise<ChunkBatch | undefined> {
    if (this.#bytes === 0 && this.#over === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#bytes > 0) return this.#taken();
    if (this.#over === 'broken') throw new Error('the body broke off');
    return undefined;
  }

  /**
   * Discards the rest of the body, so that the sender reads the response. http/ ends a connection
   * that takes long.
   */
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

/** How slow a client may be. Counts only the time in which the service could take more. */
export interface Patience {
  /** The longest silence. */
  readonly silenceMs: number;
  /**
   * The longest time in all, extended by what came: else one byte a minute would hold an upload
   * open for ever.
   */
  readonly inAllMs: number;
  readonly slowestBytesAMs: number;
}

const PATIENCE: Patience = { silenceMs: 60 * SECOND, inAllMs: 60 * SECOND, slowestBytesAMs: 1024 / SECOND };

/**
 * The bytes of a request as they come. An early end leaves the request open: the response needs its
 * socket.
 * @throws DomainError `request_timeout` for a client that is too slow, `validation_failed` where
 * the body breaks off.
 */
export const readBody = (request: IncomingMessage, patience = PATIENCE): AsyncGenerator<ChunkBatch, void> =>
  batches(request, patience, () => undefined);

/**
 * As `readBody`, for a consumer that has copied a batch when it asks for the next one: its memory
 * is freed then. Many uploads at once would otherwise hold it until the garbage collector runs.
 */
export const readBodyReleasing = (request: IncomingMessage): AsyncGenerator<ChunkBatch, void> =>
  batches(request, PATIENCE, (batch) => batch.forEach((chunk) => release(chunk)));

async function* batches(
  request: IncomingMessage,
  patience: Patience,
  free: (batch: ChunkBatch) => void,
): AsyncGenerator<ChunkBatch, void> {
  const reader = new BodyReader(request);
  let waited = 0;
  let bytes = 0;
  try {
    for (;;) {
      const asked = performance.now();
      const inAll = patience.inAllMs + bytes / patience.slowestBytesAMs - waited;
      const batch = await withDeadline(reader.next(), Math.min(patience.silenceMs, inAll));
      if (batch === undefined) return;
      waited += performance.now() - asked;
      bytes += bytesIn(batch);
      yield batch;
      free(batch);
    }
  } finally {
    reader.stop();
  }
}

/** One timer a wait: racing one long-lived promise would accumulate reactions on it. */
function withDeadline<T>(next: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooSlow()), Math.max(0, ms));
    next.then(resolve, () => reject(brokenOff())).finally(() => clearTimeout(timer));
  });
}

/** Created on demand: an error captures its stack, which costs as much as a chunk. */
const tooSlow = (): DomainError =>
  new TransferAborted('request_timeout', { detail: 'The request body arrived too slowly.' });
const brokenOff = (): DomainError =>
  new TransferAborted('validation_failed', { detail: 'The request body ended early.' });
