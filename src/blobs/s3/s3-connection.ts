import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import { DomainError, MINUTE, SECOND, stretched } from '../../kernel';
import { answerStatus, s3Fault } from './faults';

export interface S3Address {
  /** Of the server; undefined for AWS itself. */
  readonly endpoint: string | undefined;
  readonly bucket: string;
  readonly region: string;
  /** Undefined: what the machine has, as the role of an instance. */
  readonly keys: { readonly id: string; readonly secret: string } | undefined;
}

/** How a command is sent: it ends when the signal does. */
export interface CallOptions {
  readonly abortSignal: AbortSignal;
}
export type S3Call<T> = (client: S3Client, options: CallOptions) => Promise<T>;

/**
 * For what a server answers at once. The port promises 2 seconds; the rest is for the way back to
 * the caller.
 */
const QUICK_DEADLINE = 1_500;
/** Past this silence a long call asks whether the server still lives. */
const SILENCE = SECOND / 2;
const LOOK_INTERVAL = 200;
const PROBE_DEADLINE = SECOND;
/**
 * Once the server was silent for too long, further calls are refused at once for so long, unless it
 * is heard of again.
 */
const REST = SECOND;
/** The longest that a server may take for one part, or for putting parts together. */
const HEAVY_DEADLINE = 10 * MINUTE;

/**
 * One S3 client with the deadlines that the port promises. Quick calls have a fixed one. A call
 * that carries a part, or waits while the server puts parts together, takes what it takes as long
 * as the server answers anybody: a dead one is told from a slow one by asking.
 */
export class S3Connection {
  readonly bucket: string;
  readonly #client: S3Client;
  #heardAt = 0;
  #gaveUpAt = 0;
  #probe: Promise<boolean> | undefined;

  constructor({ endpoint, bucket, region, keys }: S3Address) {
    this.bucket = bucket;
    this.#client = new S3Client({
      region,
      ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
      ...(keys !== undefined && { credentials: { accessKeyId: keys.id, secretAccessKey: keys.secret } }),
      // Bodies are whole buffers, so a repeated request sends the same bytes; nothing that streams
      // is ever sent twice.
      maxAttempts: 3,
      requestChecksumCalculation: 'WHEN_SUPPORTED',
      // What comes back is authenticated frame by frame by the file message.
      responseChecksumValidation: 'WHEN_REQUIRED',
      expectContinueHeader: false,
      // Not bounded here: as many as there are transfers, and no probe ever waits behind them.
      requestHandler: {
        connectionTimeout: stretched(SECOND),
        httpAgent: { keepAlive: true, maxSockets: Infinity },
        httpsAgent: { keepAlive: true, maxSockets: Infinity },
      },
    });
  }

  /** @throws DomainError as the port says, `conflict` for what another put did. */
  quick<T>(call: S3Call<T>): Promise<T> {
    return this.#run(call, stretched(QUICK_DEADLINE));
  }

  /** The same without a short deadline; ends early by `signal`. */
  async heavy<T>(call: S3Call<T>, signal?: AbortSignal): Promise<T> {
    const begun = performance.now();
    const aborter = new AbortController();
    const abort = (): void => aborter.abort();
    const watch = setInterval(() => {
      const silence = performance.now() - Math.max(begun, this.#heardAt);
      if (silence > SILENCE) void this.#lives().then((lives) => lives || abort());
    }, LOOK_INTERVAL);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    try {
      return await this.#run(call, HEAVY_DEADLINE, aborter);
    } finally {
      clearInterval(watch);
      signal?.removeEventListener('abort', abort);
    }
  }

  close(): void {
    this.#client.destroy();
  }

  async #run<T>(call: S3Call<T>, deadline: number, aborter = new AbortController()): Promise<T> {
    if (this.#gaveUpAt > this.#heardAt && performance.now() - this.#gaveUpAt < REST)
      throw new DomainError('store_unavailable');
    const giveUp = (): void => {
      this.#gaveUpAt = performance.now();
      aborter.abort();
    };
    // One turn later: where this process itself was busy, the answer may lie unread in the socket,
    // and is read first.
    const timer = setTimeout(() => setImmediate(giveUp), deadline);
    try {
      const answer = await call(this.#client, { abortSignal: aborter.signal });
      this.#heardAt = performance.now();
      return answer;
    } catch (error) {
      if (answerStatus(error) !== undefined) this.#heardAt = performance.now();
      throw s3Fault(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Whether the server gives any answer now, be it a refusal. One question at a time, whoever asks.
   */
  #lives(): Promise<boolean> {
    this.#probe ??= this.#askForLife().finally(() => (this.#probe = undefined));
    return this.#probe;
  }

  async #askForLife(): Promise<boolean> {
    const begun = performance.now();
    const ask: S3Call<unknown> = (client, options) =>
      client.send(new HeadBucketCommand({ Bucket: this.bucket }), options);
    await this.#run(ask, stretched(PROBE_DEADLINE)).catch(() => undefined);
    return this.#heardAt >= begun;
  }
}

/**
 * A server that sends nothing for this long, while somebody waits for it, is given up. A slow
 * reader is nobody who waits.
 */
const IDLE = 10 * SECOND;
const AHEAD_BYTES = 512 * 1024;

/**
 * The body of an answer as a stream whose errors are the port's. Destroying it ends the connection
 * at once.
 */
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
