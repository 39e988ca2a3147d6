import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A reverse proxy that offers a service under a path, and strips that path from what it hands on.
 * Nothing else is there.
 */
export interface PrefixProxy {
  /** The address under which the service is seen: PUBLIC_URL. */
  readonly url: string;
  /** Where the service listens; set once it does. */
  target: string;
  close(): Promise<void>;
}

export async function startPrefixProxy(prefix: string): Promise<PrefixProxy> {
  const server = createServer((request, response) => {
    const { url = '/' } = request;
    if (!url.startsWith(`${prefix}/`)) response.writeHead(404).end('not below the prefix');
    else handOn(proxy.target + url.slice(prefix.length), request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const proxy: PrefixProxy = {
    url: `http://127.0.0.1:${port}${prefix}`,
    target: '',
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

/** Status and headers go through as they came, Location and cookies too. */
function handOn(target: string, request: IncomingMessage, response: ServerResponse): void {
  const { method, headers } = request;
  const onward = httpRequest(target, { ...(method !== undefined && { method }), headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}
