import { HttpApp, startHttpApp } from '../support/http-app';
import { RawConnection, rawConnection } from '../support/raw-http';
import { SampleController } from './sample.controller';

/**
 * Clients that ask whether to send the body: by hand, since a library hides what comes before the
 * final answer.
 */
let http: HttpApp;
const open: RawConnection[] = [];

beforeAll(async () => {
  http = await startHttpApp({ controllers: [SampleController] });
});
afterAll(() => http.close());
afterEach(() => open.splice(0).forEach(({ socket }) => socket.destroy()));

async function ask(request: string, headers: readonly string[]): Promise<RawConnection> {
  const connection = await rawConnection(http.url);
  open.push(connection);
  const lines = [`${request} HTTP/1.1`, 'Host: x', 'Expect: 100-continue', ...headers];
  await connection.write(`${lines.join('\r\n')}\r\n\r\n`);
  return connection;
}

const JSON_TYPE = 'Content-Type: application/json';
const TOKEN = 'Authorization: Bearer ann';

describe('a request that expects 100-continue', () => {
  it.each([
    ['no token', 'POST /stream', ['Content-Length: 5'], 401],
    ['an unknown path', 'POST /nowhere', ['Content-Length: 5'], 404],
    ['a wrong method', 'PUT /stream', ['Content-Length: 5'], 405],
    ['too large a body', 'POST /things', [JSON_TYPE, 'Content-Length: 9999999'], 413],
    ['another media type', 'POST /things', ['Content-Type: text/plain', 'Content-Length: 5'], 415],
    ['another media type in chunks', 'POST /things', ['Content-Type: text/plain', 'Transfer-Encoding: chunked'], 415],
    ['an encoded body', 'POST /things', [JSON_TYPE, 'Content-Encoding: gzip', 'Content-Length: 5'], 415],
    ['an unknown parameter', 'POST /stream?x=1', [TOKEN, 'Content-Length: 5'], 400],
    ['a key that is not heeded', 'POST /stream', [TOKEN, 'Idempotency-Key: a', 'Content-Length: 5'], 400],
  ])('gets the refusal for %s and is not asked for the body', async (_what, request, headers, status) => {
    const connection = await ask(request, headers);
    await connection.status();
    expect(connection.received()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  const thing = JSON.stringify({ name: 'a', count: 1, inner: { name: 'b' } });

  it.each([
    ['JSON', 'POST /things', [JSON_TYPE, `Content-Length: ${thing.length}`], thing, '"name":"a"'],
    ['a stream', 'POST /stream', [TOKEN, 'Content-Length: 5'], '12345', '"size":5'],
    ['chunks', 'POST /stream', [TOKEN, 'Transfer-Encoding: chunked'], '2\r\nab\r\n0\r\n\r\n', '"size":2'],
  ])('is asked once for %s that somebody reads', async (_what, request, headers, body, answer) => {
    const connection = await ask(request, [...headers, 'Connection: close']);
    await connection.matches(/\r\n\r\n/);
    expect(connection.received()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    await connection.write(body);
    const [, final] = (await connection.closed()).split('HTTP/1.1 100 Continue\r\n\r\n');
    expect(final).toMatch(/^HTTP\/1\.1 200 /);
    expect(final).toContain(answer);
  });

  it('that has no body is answered at once', async () => {
    const connection = await ask('GET /open', ['Connection: close']);
    expect(await connection.closed()).toMatch(/^HTTP\/1\.1 200 /);
  });
});
