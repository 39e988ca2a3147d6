import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What stands between the service and a real server, OpenBao or S3, and makes of it what a test
 * wants it to be.
 */
export interface FaultProxy {
  readonly address: string;
  /** Requests that came, whatever became of them. */
  requests: number;
  /** Paths of requests that were handed on, with their methods. */
  readonly passed: string[];
  /**
   * `pass`; `damage`: a bit of each body is another one; `cut`: each connection is reset; an answer
   * of its own; a header that is taken away; or milliseconds to wait before handing on, before the
   * answer, or for each item of a batch (for a request without one, once), one request after the
   * other.
   */
  mode:
    | 'pass'
    | 'damage'
    | 'cut'
    | Refusal
    | { readonly without: string; readonly of?: RegExp }
    | { readonly delayMs: number }
    | { readonly answerAfterMs: number }
    | { readonly itemMs: number };
  /** From now on `cut`, and what is under way as well. */
  cutAll(): void;
  close(): Promise<void>;
}

export interface Refusal {
  readonly status: number;
  readonly retryAfter?: string;
  /** Default: an error in JSON, as Vault has them. */
  readonly body?: string;
  /** Requests that it is for, as `PUT /path?query`; the others pass. */
  readonly only?: RegExp;
  /** So many requests, and then all pass. */
  times?: number;
}

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const server = createServer((request, response) => {
    proxy.requests += 1;
    const { mode } = proxy;
    if (mode === 'cut') request.socket.resetAndDestroy();
    else if (mode === 'damage') handOn(request, response, damaged(request));
    else if (typeof mode === 'object' && 'without' in mode) {
      if (mode.of?.test(nameOf(request)) !== false) request.headers[mode.without] = undefined;
      handOn(request, response);
    } else if (typeof mode === 'object' && 'answerAfterMs' in mode)
      handOn(request, response, request, mode.answerAfterMs);
    else if (typeof mode === 'object' && 'itemMs' in mode) void slowByItem(request, response, mode.itemMs);
    else if (mode === 'pass' || ('status' in mode && !isFor(mode, request))) handOn(request, response);
    else if ('status' in mode) refuse(request, response, mode);
    else setTimeout(() => handOn(request, response), mode.delayMs).unref();
  });
  const handOn = (
    request: IncomingMessage,
    response: ServerResponse,
    body: Readable = request,
    answerAfterMs = 0,
  ): void => {
    proxy.passed.push(nameOf(request));
    const onward = httpRequest(`${target}${request.url!}`, { method: request.method!, headers: sent(request) });
    onward.on('response', (answer) => {
      setTimeout(() => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      }, answerAfterMs);
    });
    onward.on('error', () => response.destroy());
    request.once('close', () => request.complete || onward.destroy());
    body.pipe(onward);
  };
  let turn = Promise.resolve();
  /** One request after the other; one that nobody waits for any more costs nothing further. */
  const slowByItem = async (request: IncomingMessage, response: ServerResponse, itemMs: number): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const items = /"batch_input"/.test(body.toString()) ? body.toString().split('"context"').length - 1 : 1;
    turn = turn.then(async () => {
      for (let item = 0; item < items && !response.destroyed; item += 1) await sleep(itemMs);
      if (!response.destroyed) handOn(request, response, Readable.from([body], { objectMode: false }));
    });
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const proxy: FaultProxy = {
    address: `http://127.0.0.1:${port}`,
    requests: 0,
    passed: [],
    mode: 'pass',
    cutAll: () => {
      proxy.mode = 'cut';
      server.closeAllConnections();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

/** Its length stays. */
function damaged(request: IncomingMessage): Readable {
  const flip = async function* (): AsyncGenerator<Buffer> {
    let done = false;
    for await (const chunk of request) {
      const bytes = Buffer.from(chunk as Buffer);
      if (!done) bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
      done = true;
      yield bytes;
    }
  };
  return Readable.from(flip(), { objectMode: false });
}

/** Node refuses a header without a value. */
const sent = ({ headers }: IncomingMessage): IncomingMessage['headers'] =>
  Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));

const nameOf = ({ method, url }: IncomingMessage): string => `${method!} ${url!}`;

function isFor(refusal: Refusal, request: IncomingMessage): boolean {
  if (refusal.only !== undefined && !refusal.only.test(nameOf(request))) return false;
  if (refusal.times === undefined) return true;
  refusal.times -= 1;
  return refusal.times >= 0;
}

function refuse(request: IncomingMessage, response: ServerResponse, { status, retryAfter, body }: Refusal): void {
  const wait = retryAfter === undefined ? {} : { 'Retry-After': retryAfter };
  const type = body === undefined ? 'application/json' : 'application/xml';
  response.writeHead(status, { 'Content-Type': type, ...wait });
  response.end(body ?? JSON.stringify({ errors: ['not now'] }));
  request.resume();
}
