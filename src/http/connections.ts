import { Server } from 'node:http';
import { Socket } from 'node:net';
import { limitKey } from './client-address';
import { Networks } from './networks';

export interface ConnectionLimits {
  readonly total: number;
  readonly perAddress: number;
  /** Proxies and backends, whose connections serve many users. */
  readonly exempt: Networks;
}

/**
 * Limits open connections, because each uses memory and a descriptor, even when idle. A surplus
 * connection is closed at once, unread and without a response.
 */
export function boundConnections(server: Server, { total, perAddress, exempt }: ConnectionLimits): void {
  const open = new Map<string, number>();
  server.maxConnections = total;
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined || exempt.contains(remoteAddress)) return;
    const key = limitKey(remoteAddress);
    const count = (open.get(key) ?? 0) + 1;
    open.set(key, count);
    socket.once('close', () => {
      const left = (open.get(key) ?? 1) - 1;
      if (left > 0) open.set(key, left);
      else open.delete(key);
    });
    if (count > perAddress) socket.destroy();
  });
}
