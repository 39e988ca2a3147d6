import { Server, ServerResponse } from 'node:http';

/**
 * Lets the requests that are being answered come to their end, uploads included, for at most `graceMs`; then breaks what is left. New
 * requests are refused by the gate meanwhile (503 `shutting_down`), and each answer closes its connection.
 * Call it once, and tell Lifecycle first.
 */
export async function drain(server: Server, inFlight: InFlight, graceMs: number): Promise<void> {
  server.closeIdleConnections();
  await Promise.race([inFlight.idle(), expiry(graceMs)]);
  server.closeIdleConnections();
  const closed = new Promise<void>((resolve) => {
    if (!server.listening) {
      resolve();
      return;
    }
    server.close(() => resolve());
  });
  await Promise.race([closed, expiry(LINGER)]);
  server.closeAllConnections();
  await closed;
}

const LINGER = 500;

const expiry = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());

/** Counts the answers that are not out yet. */
export class InFlight {
  #count = 0;
  #waiting: (() => void)[] = [];

  watch(server: Server): void {
    server.on('request', (_request, response: ServerResponse) => {
      this.#count += 1;
      response.once('close', () => this.ended());
    });
  }

  /** Resolves when no request is being answered. */
  idle(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  private ended(): void {
    this.#count -= 1;
    if (this.#count > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
