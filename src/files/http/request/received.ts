import { IncomingMessage } from 'node:http';
import { ChunkBatch, DomainError, SECOND, TransferAborted, bytesIn, release } from '../../../kernel/index';
import { BodyReader } from './body-reader';

/** How slow a client may be, looked at only while we could take more. */
export interface Patience {
  /** How long it may stay silent. */
  readonly silenceMs: number;
  /** And in all: so long, and longer for what came, or one could hold an upload open for ever with a byte a minute. */
  readonly inAllMs: number;
  readonly slowestBytesAMs: number;
}

const PATIENCE: Patience = { silenceMs: 60 * SECOND, inAllMs: 60 * SECOND, slowestBytesAMs: 1024 / SECOND };

/**
 * The bytes of a request as they come. An early end leaves the request alone (the socket is still needed for the answer).
 * @throws DomainError `request_timeout` for a client that is too slow, `validation_failed` where the body breaks off.
 */
export async function* received(request: IncomingMessage, patience = PATIENCE): AsyncGenerator<ChunkBatch, void> {
  const inbox = new BodyReader(request);
  let waited = 0;
  let bytes = 0;
  try {
    for (;;) {
      const asked = performance.now();
      const inAll = patience.inAllMs + bytes / patience.slowestBytesAMs - waited;
      const next = await withDeadline(inbox.next(), Math.min(patience.silenceMs, inAll));
      if (next === undefined) return;
      waited += performance.now() - asked;
      bytes += bytesIn(next);
      yield next;
    }
  } finally {
    inbox.stop();
  }
}

/**
 * As `received`, for a reader that has taken what it needs of a burst when it asks for the next one: the memory of a burst is given back
 * then. Many uploads at once would otherwise hold what nobody reads any more until the garbage collector comes.
 */
export async function* lent(request: IncomingMessage): AsyncGenerator<ChunkBatch, void> {
  for await (const burst of received(request)) {
    yield burst;
    for (const chunk of burst) release(chunk);
  }
}

/** A timer of its own for each wait: racing one long-lived promise would pile up reactions on it. */
function withDeadline<T>(next: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooSlow()), Math.max(0, ms));
    next.then(resolve, () => reject(brokenOff())).finally(() => clearTimeout(timer));
  });
}

/** Made when it is needed: an error takes its stack down, which costs as much as a chunk. */
const tooSlow = (): DomainError =>
  new TransferAborted('request_timeout', { detail: 'The request body arrived too slowly.' });
const brokenOff = (): DomainError =>
  new TransferAborted('validation_failed', { detail: 'The request body ended early.' });
