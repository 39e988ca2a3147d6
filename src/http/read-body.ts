import { IncomingMessage } from 'node:http';
import { DomainError, SECOND } from '../kernel';
import { BodyMemory, BodyRoom, bodiesOverloaded } from './body-memory';

/** Slower than any interactive connection: 256 KiB in a minute. */
const SLOWEST_BYTES_A_SECOND = 4 * 1024;

export interface BodyBounds {
  readonly limit: number;
  readonly timeoutMs: number;
  /** After this time, and after each further such time, the average rate must reach the minimum. */
  readonly graceMs: number;
  readonly memory: BodyMemory;
  /** The address whose memory share the body uses; undefined for an exempt backend. */
  readonly address: string | undefined;
}

/**
 * Reads a whole body.
 * @throws DomainError `too_large`, `request_timeout`, `overloaded`
 */
export async function readBody(payload: IncomingMessage, bounds: BodyBounds): Promise<Buffer> {
  if (Number(payload.headers['content-length'] ?? 0) > bounds.limit) throw tooLarge(bounds.limit);
  return new Promise((resolve, reject) => new Reading(payload, bounds, resolve, reject).begin());
}

class Reading {
  readonly #begun = performance.now();
  readonly #chunks: Buffer[] = [];
  readonly #room: BodyRoom;
  #size = 0;
  #timer: NodeJS.Timeout | undefined;
  #rate: NodeJS.Timeout | undefined;

  constructor(
    private readonly payload: IncomingMessage,
    private readonly bounds: BodyBounds,
    private readonly resolve: (bytes: Buffer) => void,
    private readonly reject: (error: Error) => void,
  ) {
    this.#room = bounds.memory.open(bounds.address, () => this.#refuse(bodiesOverloaded()));
  }

  begin(): void {
    this.#timer = setTimeout(this.#onBroken, this.bounds.timeoutMs);
    this.#rate = setInterval(() => this.#checkRate(), this.bounds.graceMs);
    this.payload
      .on('data', this.#onData)
      .once('end', this.#onEnd)
      .once('error', this.#onBroken)
      .once('close', this.#onBroken);
  }

  #onData = (chunk: Buffer): void => {
    this.#size += chunk.length;
    if (this.#size > this.bounds.limit) {
      this.#refuse(tooLarge(this.bounds.limit));
      return;
    }
    this.#chunks.push(chunk);
    if (!this.#room.grow(chunk.length)) this.#refuse(bodiesOverloaded());
  };

  #onEnd = (): void => {
    this.#stop();
    this.resolve(Buffer.concat(this.#chunks));
  };

  // If the client has disconnected, nobody reads this error.
  #onBroken = (): void => this.#refuse(new DomainError('request_timeout'));

  #checkRate(): void {
    const seconds = (performance.now() - this.#begun) / SECOND;
    if (this.#size >= seconds * SLOWEST_BYTES_A_SECOND) return;
    this.#refuse(new DomainError('request_timeout', { detail: 'The request body arrived too slowly.' }));
  }

  #refuse(error: DomainError): void {
    this.#stop();
    this.reject(error);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#rate);
    this.#room.close();
    this.payload
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onBroken)
      .off('close', this.#onBroken);
  }
}

const tooLarge = (limit: number): DomainError =>
  new DomainError('too_large', { detail: `The body may have ${limit} bytes at most.` });
