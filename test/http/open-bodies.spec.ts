import { connect, type Socket } from 'node:net';
import { HttpApp, sendRaw, startHttpApp } from '../support/http-app';
import { SampleController } from './sample.controller';

const MIB = 1024 ** 2;
/** Most of a body of the largest size; its end does not come. */
const PART = Buffer.alloc(MIB - 100, 'x');

let sockets: Socket[] = [];
let http: HttpApp;

const start = async (env: Record<string, string>, more: object = {}): Promise<HttpApp> => {
  http = await startHttpApp({ controllers: [SampleController], env: { TRUSTED_PROXIES: 'loopback', ...env }, ...more });
  return http;
};
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await http.close();
});

/** Resolves with the first line of what the server says, or with `closed`. */
function openBody(address: string): { readonly sent: Promise<void>; readonly said: Promise<string> } {
  const socket = connect(http.port, '127.0.0.1');
  sockets.push(socket);
  const said = new Promise<string>((resolve) => {
    socket.once('data', (data: Buffer) => resolve(data.toString().split('\r\n', 1)[0] ?? ''));
    socket.once('close', () => resolve('closed')).once('error', () => resolve('closed'));
  });
  socket.write(
    `POST /create HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${address}\r\nAuthorization: Bearer ann\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${MIB}\r\n\r\n`,
  );
  const sent = new Promise<void>((resolve) => void socket.write(PART, () => resolve()));
  return { sent, said };
}

async function create(address: string): Promise<number> {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer bob', 'x-forwarded-for': address };
  const body = JSON.stringify({ name: 'a', count: 1, inner: { name: 'b' } });
  return (await fetch(`${http.url}/create`, { method: 'POST', headers, body })).status;
}

describe('bodies that do not come to their end', () => {
  it('of one address hold an eighth of the memory at most, the next ones are 503, and others are served', async () => {
    await start({ MAX_BODY_MEMORY: '16MiB' });
    const bodies = Array.from({ length: 6 }, () => openBody('192.0.2.1'));
    const first = await Promise.race(bodies.map(({ said }) => said));
    expect(first).toBe('HTTP/1.1 503 Service Unavailable');
    expect(await create('192.0.2.2')).toBe(201);
  });

  it('are 408 where they come too slowly', async () => {
    await start({}, { bodyGraceMs: 200 });
    const request =
      'POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n\r\n{"a":';
    const answer = await sendRaw(http.port, request);
    expect(answer.status).toBe(408);
    expect(JSON.parse(answer.body)).toMatchObject({ detail: 'The request body arrived too slowly.' });
  });
});

describe('connections', () => {
  const opened = (): Promise<'open' | 'closed'> =>
    new Promise((resolve) => {
      const socket = connect(http.port, '127.0.0.1');
      sockets.push(socket);
      socket.once('close', () => resolve('closed')).once('error', () => resolve('closed'));
      socket.once('connect', () => setTimeout(() => resolve('open'), 200));
    });

  it('of one address are bounded, and room comes back as they end', async () => {
    await start({ TRUSTED_PROXIES: '10.0.0.1', MAX_CONNECTIONS_PER_ADDRESS: '5' });
    const outcomes = await Promise.all(Array.from({ length: 8 }, opened));
    expect(outcomes.filter((outcome) => outcome === 'open')).toHaveLength(5);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await opened()).toBe('open');
  });

  it('of a trusted proxy are bounded by the total alone', async () => {
    await start({ MAX_CONNECTIONS_PER_ADDRESS: '2', MAX_CONNECTIONS: '4' });
    const outcomes = await Promise.all(Array.from({ length: 6 }, opened));
    expect(outcomes.filter((outcome) => outcome === 'open')).toHaveLength(4);
  });
});

describe('a costly route', () => {
  const costly = (token: string): Promise<Response> =>
    fetch(`${http.url}/costly`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });

  it('serves two requests of an account at once, and others beside it', async () => {
    await start({});
    const controller = http.app.get(SampleController);
    const running = [costly('ann'), costly('ann')];
    while (controller.waiting.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    const third = await costly('ann');
    expect(third.status).toBe(429);
    expect(third.headers.get('retry-after')).toBe('1');
    expect(await third.json()).toMatchObject({ code: 'rate_limited' });
    const other = costly('bob');
    while (controller.waiting.length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    for (const release of controller.waiting.splice(0)) release();
    expect((await Promise.all([...running, other])).map(({ status }) => status)).toEqual([200, 200, 200]);
    const next = costly('ann');
    while (controller.waiting.length < 1) await new Promise((resolve) => setTimeout(resolve, 10));
    for (const release of controller.waiting.splice(0)) release();
    expect((await next).status).toBe(200);
  });
});
