import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

/** A connection on which a test writes HTTP by hand: what no client library would send. */
export interface RawConnection {
  readonly socket: Socket;
  write(bytes: Buffer | string): Promise<void>;
  /** All that came back, once the server has closed the connection. */
  closed(): Promise<string>;
  /** What came back so far, as soon as there is a status line. */
  status(): Promise<number>;
  /** What came back so far. */
  received(): string;
  /** Resolves once what came back matches, or the server has closed the connection. */
  matches(pattern: RegExp): Promise<void>;
}

export async function rawConnection(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve));
  let text = '';
  socket.on('data', (data: Buffer) => (text += data.toString('latin1')));
  const until = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(text) && !socket.destroyed) {
      await new Promise((resolve) => void socket.once('data', resolve).once('close', resolve));
    }
  };
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return {
    socket,
    write: (bytes) => new Promise((resolve) => void socket.write(bytes, () => resolve())),
    closed: async () => {
      await ended;
      return text;
    },
    status: async () => {
      await until(/^HTTP\/1\.1 [2-5]\d\d.*\r\n/m);
      return Number(/^HTTP\/1\.1 ([2-5]\d\d)/m.exec(text)?.[1] ?? 0);
    },
    received: () => text,
    matches: until,
  };
}

/** Every file in the blob folder of a service, finished or not. */
export async function blobFiles(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'blobs'), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
