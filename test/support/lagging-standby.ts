import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A standby of Vault Enterprise that serves reads by itself, played in front of a real server that
 * is the active node.
 */
export interface LaggingStandby {
  readonly address: string;
  readonly requests: { readonly name: string; readonly headers: IncomingHttpHeaders }[];
  /** Reads that are answered as they were before the last write; each counts one down. */
  staleReads: number;
  /**
   * Whether a request that names a newer state is handed on to the active node, as its headers ask
   * for; else it is answered 412.
   */
  forwards: boolean;
  /** Whether writes answer with the state of the storage: an older release does not. */
  tellsIndex: boolean;
  /** Whether the answer to a write has a body. */
  bodies: boolean;
  /** So many requests, whatever they are, are answered 412. */
  refusals: number;
  close(): Promise<void>;
}

interface Kept {
  readonly status: number;
  readonly body: string;
}

export async function startLaggingStandby(active: string): Promise<LaggingStandby> {
  const seen = new Map<string, Kept>();
  let index = 0;
  const server = createServer(
    (request, response) => void serve(request, response).catch((error: unknown) => response.destroy(error as Error)),
  );

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [name, body] = [`${request.method!} ${request.url!}`, await bodyOf(request)];
    standby.requests.push({ name, headers: request.headers });
    if (standby.refusals > 0) {
      standby.refusals -= 1;
      answer(response, LAGS_BEHIND);
      return;
    }
    const isRead = request.method === 'GET';
    const former = isRead && standby.staleReads > 0 ? seen.get(name) : undefined;
    if (former !== undefined) {
      standby.staleReads -= 1;
      const asksForNewer = request.headers['x-vault-index'] === `state-${index}`;
      if (!asksForNewer) {
        answer(response, former);
        return;
      }
      if (!standby.forwards || request.headers['x-vault-inconsistent'] !== 'forward-active-node') {
        answer(response, LAGS_BEHIND);
        return;
      }
    }
    const reply = await handOn(active, request, body);
    if (isRead) seen.set(name, reply);
    else index += 1;
    const shown = isRead || standby.bodies || reply.status !== 200 ? reply : { status: 204, body: '' };
    answer(response, shown, !isRead && standby.tellsIndex ? `state-${index}` : undefined);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const standby: LaggingStandby = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    staleReads: 0,
    forwards: true,
    tellsIndex: true,
    bodies: true,
    refusals: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return standby;
}

const LAGS_BEHIND: Kept = { status: 412, body: JSON.stringify({ errors: ['required index state not present'] }) };

async function handOn(active: string, request: IncomingMessage, body: string): Promise<Kept> {
  const { host: _host, 'content-length': _length, connection: _connection, ...headers } = request.headers;
  delete headers['x-vault-index'];
  const reply = await fetch(`${active}${request.url!}`, {
    method: request.method!,
    headers: headers as Record<string, string>,
    ...(body === '' || request.method === 'GET' ? {} : { body }),
  });
  return { status: reply.status, body: await reply.text() };
}

function answer(response: ServerResponse, { status, body }: Kept, index?: string): void {
  response.writeHead(status, {
    ...(body === '' ? {} : { 'Content-Type': 'application/json' }),
    ...(index === undefined ? {} : { 'X-Vault-Index': index }),
  });
  response.end(body);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
