import { Injectable } from '@nestjs/common';
import { FastifyInstance } from 'fastify';
import { Server, ServerResponse } from 'node:http';
import { SECOND } from '../kernel';

/**
 * Lets the requests that are being answered come to their end, uploads included, for at most `graceMs`; then breaks what is left, and
 * waits until the handlers have kept what came. New requests are refused by the guard meanwhile (503 `shutting_down`), and each answer
 * closes its connection. Call it once, and tell Lifecycle first.
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
  await Promise.race([inFlight.settled(), expiry(SETTLE)]);
}

const LINGER = 500;
/** How long handlers have whose connection is gone, before the store is closed. */
const SETTLE = 3 * SECOND;

const expiry = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());

/** What is under way, and who waits for its end. */
class Pending {
  #count = 0;
  #waiting: (() => void)[] = [];

  begin(): void {
    this.#count += 1;
  }

  end(): void {
    this.#count -= 1;
    if (this.#count > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  none(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** Counts the answers that are not out yet, and the handlers: one whose client hung up still stores what came. */
@Injectable()
export class InFlight {
  readonly #answers = new Pending();
  readonly #handlers = new Pending();

  watch(server: Server): void {
    server.on('request', (_request, response: ServerResponse) => {
      this.#answers.begin();
      response.once('close', () => this.#answers.end());
    });
  }

  /** Counts the handlers of all routes that are registered after this call. */
  countHandlers(fastify: FastifyInstance): void {
    fastify.addHook('onRoute', (route) => {
      const { handler } = route;
      route.handler = async (request, reply) => {
        this.#handlers.begin();
        try {
          return await handler.call(fastify, request, reply);
        } finally {
          this.#handlers.end();
        }
      };
    });
  }

  /** Resolves when no request is being answered. */
  idle(): Promise<void> {
    return this.#answers.none();
  }

  /** Resolves when no handler runs. */
  settled(): Promise<void> {
    return this.#handlers.none();
  }
}
