import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What stands between the service and a real OpenBao, and makes of it what a test wants it to be. */
export interface VaultProxy {
  readonly address: string;
  /** Requests that came, whatever became of them. */
  requests: number;
  /** Paths of requests that were handed on, with their methods. */
  readonly passed: string[];
  /** `pass`; a status to answer with, and a Retry-After; or milliseconds to wait before handing on, or before the answer. */
  mode:
    | 'pass'
    | { readonly status: number; readonly retryAfter?: string }
    | { readonly delayMs: number }
    | { readonly answerAfterMs: number };
  close(): Promise<void>;
}

export async function startVaultProxy(target: string): Promise<VaultProxy> {
  const server = createServer((request, response) => {
    proxy.requests += 1;
    const { mode } = proxy;
    if (mode === 'pass') handOn(request, response);
    else if ('answerAfterMs' in mode) handOn(request, response, mode.answerAfterMs);
    else if ('status' in mode) refuse(response, mode.status, mode.retryAfter);
    else setTimeout(() => handOn(request, response), mode.delayMs).unref();
  });
  const handOn = (request: IncomingMessage, response: ServerResponse, answerAfterMs = 0): void => {
    proxy.passed.push(`${request.method!} ${request.url!}`);
    const onward = httpRequest(`${target}${request.url!}`, { method: request.method!, headers: request.headers });
    onward.on('response', (answer) => {
      setTimeout(() => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      }, answerAfterMs);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const proxy: VaultProxy = {
    address: `http://127.0.0.1:${port}`,
    requests: 0,
    passed: [],
    mode: 'pass',
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

function refuse(response: ServerResponse, status: number, retryAfter?: string): void {
  const wait = retryAfter === undefined ? {} : { 'Retry-After': retryAfter };
  response.writeHead(status, { 'Content-Type': 'application/json', ...wait });
  response.end(JSON.stringify({ errors: ['not now'] }));
}
