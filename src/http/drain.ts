import { Injectable } from '@nestjs/common';
import { FastifyInstance } from 'fastify';
import { Server, ServerResponse } from 'node:http';
import { SECOND } from '../kernel';

/**
 * Waits at most `graceMs` for active requests, uploads included, then closes the remaining
 * connections and waits until the handlers have stored the received data.
 * Meanwhile the request guard rejects new requests (503 `shutting_down`), and each response closes
 * its connection. Call it once, after Lifecycle.stop.
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
/** Time for handlers whose connection is closed, before the store closes. */
const SETTLE = 3 * SECOND;

const expiry = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());

/** Counts pending operations and resolves when there are none. */
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

/**
 * Counts open responses and running handlers: a handler whose client disconnected still stores the
 * received data.
 */
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

  /** Resolves when there is no open response. */
  idle(): Promise<void> {
    return this.#answers.none();
  }

  /** Resolves when no handler runs. */
  settled(): Promise<void> {
    return this.#handlers.none();
  }
}
