import { createServer, IncomingMessage, Server } from 'node:http';
import { AddressInfo, connect, Socket } from 'node:net';
import { isDomainError } from '../../../kernel';
import { Patience, readBody } from './body-reader';

let server: Server;
let outcome: Promise<Buffer | Error>;
let settle: (value: Buffer | Error) => void;

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const burst of readBody(message)) chunks.push(...burst);
  return Buffer.concat(chunks);
}

beforeEach(async () => {
  outcome = new Promise((resolve) => (settle = resolve));
  server = createServer((message, response) => {
    readAll(message).then(settle, settle);
    void outcome.then(() => response.end('answered'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function send(text: string): Socket {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\n${text}`);
  return socket;
}

const whole = async (): Promise<string> => {
  const result = await outcome;
  if (result instanceof Error) throw result;
  return result.toString();
};

describe('a body that is received', () => {
  it('is whole with a Content-Length', async () => {
    send('Content-Length: 5\r\n\r\nhello');
    expect(await whole()).toBe('hello');
  });

  it('is whole in chunks', async () => {
    send('Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n');
    expect(await whole()).toBe('hello');
  });

  it.each([
    ['with fewer bytes than its Content-Length', 'Content-Length: 10\r\n\r\nhello'],
    ['without its last chunk', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['in the middle of a chunk', 'Transfer-Encoding: chunked\r\n\r\n50\r\nhello'],
  ])('is refused when it breaks off %s', async (_, text) => {
    const socket = send(text);
    await new Promise((resolve) => server.once('request', resolve));
    socket.end();
    expect(isDomainError(await outcome, 'validation_failed')).toBe(true);
  });

  it('is refused when the connection is reset', async () => {
    const socket = send('Content-Length: 10\r\n\r\nhello');
    await new Promise((resolve) => server.once('request', resolve));
    socket.resetAndDestroy();
    expect(isDomainError(await outcome, 'validation_failed')).toBe(true);
  });

  it('leaves the connection for the answer when it is not read to its end', async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    server.removeAllListeners('request');
    server.on('request', (message, response) => {
      void (async () => {
        for await (const _ of readBody(message)) break;
        response.end('refused');
      })();
    });
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhello');
    const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    expect(answer.toString()).toContain('refused');
    socket.destroy();
  });
});

describe('a client that sends nothing more', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'performance'] }));
  afterEach(() => jest.useRealTimers());

  it('is refused with request_timeout after a minute', async () => {
    send('Content-Length: 10\r\n\r\nhello');
    await new Promise((resolve) => server.once('request', resolve));
    await new Promise((resolve) => setImmediate(resolve));
    jest.advanceTimersByTime(59_000);
    const early = await Promise.race([outcome, new Promise((resolve) => setImmediate(() => resolve('waiting')))]);
    expect(early).toBe('waiting');
    jest.advanceTimersByTime(2_000);
    expect(isDomainError(await outcome, 'request_timeout')).toBe(true);
  });
});

describe('a client that is slow', () => {
  const patience: Patience = { silenceMs: 400, inAllMs: 600, slowestBytesAMs: 1 };

  /** Reads the next request with short patience, waiting `pauseMs` before each further piece. */
  const readWith = (pauseMs: number): void => {
    server.removeAllListeners('request');
    server.on('request', (message: IncomingMessage) => {
      const read = async (): Promise<Buffer> => {
        const chunks: Uint8Array[] = [];
        for await (const burst of readBody(message, patience)) {
          chunks.push(...burst);
          if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
        }
        return Buffer.concat(chunks);
      };
      read().then(settle, settle);
    });
  };

  it('and sends a byte now and then is refused, though it is never silent for long', async () => {
    readWith(0);
    const socket = send('Content-Length: 10000\r\n\r\n');
    const drip = setInterval(() => socket.write('x'), 50);
    const result = await outcome;
    clearInterval(drip);
    expect(isDomainError(result, 'request_timeout')).toBe(true);
  });

  it('is not taken for slow where it is we who do not read', async () => {
    readWith(1_000);
    const socket = send('Content-Length: 10\r\n\r\nhello');
    socket.write('world');
    expect(await whole()).toBe('helloworld');
  });

  it('sends no more than is taken', async () => {
    server.removeAllListeners('request');
    const paused = new Promise<IncomingMessage>((resolve) => {
      server.on('request', (message: IncomingMessage) => {
        const chunks = readBody(message);
        void chunks.next().then(() => message.once('pause', () => resolve(message)));
      });
    });
    const socket = send(`Content-Length: ${64 * 1024 * 1024}\r\n\r\n`);
    socket.write(Buffer.alloc(64 * 1024 * 1024));
    const message = await paused;
    expect(message.readableLength).toBeLessThan(1024 * 1024);
    expect(socket.bytesWritten - socket.writableLength).toBeLessThan(64 * 1024 * 1024);
  });
});
