import { IncomingMessage } from 'node:http';
import { DomainError, SECOND } from '../../kernel';
import { Inbox } from './inbox';

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
export async function* received(request: IncomingMessage, patience = PATIENCE): AsyncGenerator<Buffer, void> {
  const inbox = new Inbox(request);
  let waited = 0;
  let bytes = 0;
  try {
    for (;;) {
      const asked = performance.now();
      const inAll = patience.inAllMs + bytes / patience.slowestBytesAMs - waited;
      const next = await withDeadline(inbox.next(), Math.min(patience.silenceMs, inAll));
      if (next === undefined) return;
      waited += performance.now() - asked;
      bytes += next.length;
      yield next;
    }
  } finally {
    inbox.stop();
  }
}

/** A timer of its own for each wait: racing one long-lived promise would pile up reactions on it. */
function withDeadline<T>(next: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const tooSlow = new DomainError('request_timeout', { detail: 'The body came too slowly.' });
    const timer = setTimeout(() => reject(tooSlow), Math.max(0, ms));
    next.then(resolve, () => reject(brokenOff())).finally(() => clearTimeout(timer));
  });
}

const brokenOff = (): DomainError =>
  new DomainError('validation_failed', { detail: 'The body broke off before its end.' });
