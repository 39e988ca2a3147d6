import { CODES } from '../../src/http/problem';
import { SECURITY_HEADERS } from '../../src/http/security-headers';
import { ERROR_CODES } from '../../src/kernel';
import { HttpApp, sendRaw, startHttpApp } from '../support/http-app';
import { rawConnection } from '../support/raw-http';
import { SampleController } from './sample.controller';

let http: HttpApp;

beforeAll(async () => {
  http = await startHttpApp({
    controllers: [SampleController],
    limits: { headersTimeoutMs: 400, idleTimeoutMs: 20_000 },
    bodyTimeoutMs: 300,
  });
});
afterAll(() => http.close());

const call = (path: string, init?: RequestInit): Promise<Response> => fetch(`${http.url}${path}`, init);
const json = (body: string, type = 'application/json'): RequestInit => ({
  method: 'POST',
  body,
  headers: { 'content-type': type },
});

interface ProblemBody {
  readonly code: string;
  readonly errors?: readonly { pointer: string; in?: string; message: string }[];
}

async function problem(answer: Response): Promise<ProblemBody> {
  const body = (await answer.json()) as ProblemBody & Record<string, unknown>;
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(Object.keys(body)).toEqual(expect.arrayContaining(['type', 'title', 'status', 'detail', 'instance', 'code']));
  expect(body['status']).toBe(answer.status);
  expect(body['instance']).toBe(`urn:request:${answer.headers.get('x-request-id')}`);
  return body;
}

describe('problem documents', () => {
  it.each(ERROR_CODES)('have their own status and all members for %s', async (code) => {
    const answer = await call(`/fails/${code}`);
    expect(answer.status).toBe(CODES[code].status);
    expect((await problem(answer)).code).toBe(code);
  });

  it('tell nothing about a fault that nobody foresaw', async () => {
    const answer = await call('/fails/unforeseen');
    const text = await answer.clone().text();
    expect(answer.status).toBe(500);
    expect((await problem(answer)).code).toBe('internal');
    expect(text).not.toMatch(/E11000|driver|at .*\.ts/);
  });

  it('come too late for an answer that has begun, whose connection breaks instead', async () => {
    await expect(call('/late').then((answer) => answer.text())).rejects.toThrow();
  });

  it('say when to come back with each 429 and 503', async () => {
    for (const code of ERROR_CODES.filter((name) => [429, 503].includes(CODES[name].status))) {
      const answer = await call(`/fails/${code}`);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(answer.headers.has('ratelimit')).toBe(answer.status === 429);
      expect(answer.headers.has('ratelimit-policy')).toBe(answer.status === 429);
    }
  });

  it('challenge with each 401', async () => {
    for (const code of ERROR_CODES.filter((name) => CODES[name].status === 401)) {
      expect((await call(`/fails/${code}`)).headers.get('www-authenticate')).toMatch(/^Bearer realm="coffer"/);
    }
  });
});

describe('paths and methods', () => {
  it('answer an unknown path with 404, whatever the method and body', async () => {
    expect((await problem(await call('/nowhere'))).code).toBe('not_found');
    expect((await problem(await call('/nowhere', json('{', 'text/strange')))).code).toBe('not_found');
  });

  it.each(['PUT', 'DELETE', 'PATCH'])('answer %s on a known path with 405 and its methods', async (method) => {
    const answer = await call('/open', { method });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET, HEAD, OPTIONS');
    expect((await problem(answer)).code).toBe('method_not_allowed');
  });

  it('name the methods of a path with parameters', async () => {
    expect((await call('/things/7')).headers.get('allow')).toBe('DELETE, OPTIONS, PATCH');
  });

  it.each(['TRACE', 'PROPFIND', 'FOO', 'M-SEARCH'])('answer %s on a known path with 405', async (method) => {
    const answer = await sendRaw(http.port, `${method} /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer.status).toBe(405);
    expect(answer.headers['allow']).toBe('GET, HEAD, OPTIONS');
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'method_not_allowed', status: 405 });
  });

  it('answer an unknown method on an unknown path with 404', async () => {
    const answer = await sendRaw(http.port, 'FOO /nowhere HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(answer.status).toBe(404);
  });

  it('refuse CONNECT: this is no proxy', async () => {
    const answer = await sendRaw(http.port, 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n');
    expect(answer.status).toBe(405);
  });

  it('answer OPTIONS with the methods of a path, and HEAD with the headers of GET', async () => {
    const options = await call('/things', { method: 'OPTIONS' });
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS, POST']);
    const head = await call('/open', { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect((await call('/nowhere', { method: 'OPTIONS' })).status).toBe(404);
  });

  it.each(['/%', '/things/%zz', '/things/%c3%28'])('answer the malformed path %s with 400', async (path) => {
    const answer = await sendRaw(http.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'validation_failed' });
  });

  it.each(['*', 'open', '//open', '/OPEN', '/open/'])('do not take the target %s for a route', async (target) => {
    const answer = await sendRaw(http.port, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect([400, 404]).toContain(answer.status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
  });
});

describe('bodies', () => {
  const good = JSON.stringify({ name: 'a', count: 1, inner: { name: 'b' } });

  it('are taken as UTF-8 JSON', async () => {
    expect((await call('/things', json(good, 'application/json; charset=UTF-8'))).status).toBe(200);
  });

  it.each([
    ['half a document', '{"name":'],
    ['a byte order mark', `\ufeff${good}`],
    ['a key twice', '{"name":"a","name":"b","count":1}'],
    ['a key twice, once escaped', '{"name":"a","n\\u0061me":"b","count":1}'],
    ['a key twice in an inner object', '{"inner":{"name":"a","name":"b"}}'],
    ['33 levels', `${'['.repeat(33)}${']'.repeat(33)}`],
    ['half a surrogate pair', '{"name":"\\ud800"}'],
    ['a number that is none', '{"count":NaN}'],
  ])('with %s are invalid_json', async (_what, body) => {
    const answer = await call('/things', json(body));
    expect([answer.status, (await problem(answer)).code]).toEqual([400, 'invalid_json']);
  });

  it('that are not UTF-8 are invalid_json', async () => {
    const body = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    const answer = await call('/things', { ...json(''), body });
    expect((await problem(answer)).code).toBe('invalid_json');
  });

  it.each(['[]', '"text"', 'null', '17'])('that are the JSON %s and no object are refused', async (body) => {
    expect((await problem(await call('/things', json(body)))).code).toBe('validation_failed');
  });

  it('may be empty, or an empty object, where a route has none', async () => {
    expect((await call('/admin', { ...json(''), headers: { authorization: 'Bearer admin' } })).status).toBe(200);
    const headers = { authorization: 'Bearer admin', 'content-type': 'application/json' };
    expect((await call('/admin', { method: 'POST', headers })).status).toBe(200);
    expect((await call('/admin', { method: 'POST', headers, body: '{}' })).status).toBe(200);
  });

  it('are refused where a route has none', async () => {
    const headers = { authorization: 'Bearer admin', 'content-type': 'application/json' };
    const answer = await call('/admin', { method: 'POST', headers, body: '{"a/b":1}' });
    expect((await problem(answer)).errors).toEqual([{ pointer: '/a~1b', message: 'is not known here' }]);
  });

  it.each([
    ['text/plain', 'a'],
    ['application/x-www-form-urlencoded', 'a=b'],
    ['multipart/form-data; boundary=x', '--x--'],
    ['application/octet-stream', 'a'],
    ['application/json; charset=utf-16', '{}'],
    ['application/jsonp', '{}'],
  ])('of type %s are 415', async (type, body) => {
    const answer = await call('/things', json(body, type));
    expect([answer.status, (await problem(answer)).code]).toEqual([415, 'unsupported_media_type']);
  });

  it('without a type, or with a content encoding, are 415', async () => {
    const untyped = await sendRaw(
      http.port,
      'POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
    );
    expect(untyped.status).toBe(415);
    const packed = await call('/things', {
      ...json('{}'),
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    });
    expect(packed.status).toBe(415);
  });

  it('over the limit are 413, declared or counted', async () => {
    const large = JSON.stringify({ name: 'x'.repeat(1024 * 1024) });
    const declared = await call('/things', json(large));
    expect([declared.status, (await problem(declared)).code]).toEqual([413, 'too_large']);
    const chunked = `POST /small HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
    const counted = await sendRaw(http.port, `${chunked}50\r\n${'x'.repeat(80)}\r\n0\r\n\r\n`);
    expect(counted.status).toBe(413);
  });

  it('that do not arrive are 408', async () => {
    const answer = await sendRaw(
      http.port,
      'POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"a":',
    );
    expect(answer.status).toBe(408);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'request_timeout' });
  });

  it('of a streaming route reach the handler unread, whatever their type', async () => {
    for (const type of [
      'application/octet-stream',
      'multipart/form-data; boundary=x',
      'application/json',
      'text/plain',
    ]) {
      const headers = { authorization: 'Bearer ann', 'content-type': type };
      const answer = await call('/stream', { method: 'POST', headers, body: 'not json' });
      expect(await answer.json()).toEqual({ size: 8 });
    }
  });

  it('of a streaming route are not taken in before the caller is known', async () => {
    const answer = await sendRaw(
      http.port,
      'POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000000000\r\nConnection: close\r\n\r\nx',
    );
    expect(answer.status).toBe(401);
  });
});

describe('input', () => {
  it('that is missing, unknown or of another type is named by JSON Pointer and never repeated', async () => {
    const body = JSON.stringify({ name: { $ne: null }, extra: 'sent-value', inner: { name: 7, more: 1 } });
    const answer = await call('/things', json(body));
    const text = await answer.clone().text();
    const { code, errors } = await problem(answer);
    expect(code).toBe('validation_failed');
    expect(errors?.map(({ pointer }) => pointer).sort()).toEqual([
      '/count',
      '/extra',
      '/inner/more',
      '/inner/name',
      '/name',
    ]);
    expect(text).not.toContain('sent-value');
  });

  it('of a query is refused where it is unknown, repeated or out of range', async () => {
    for (const query of [
      'x=1',
      'limit=0',
      'limit=201',
      'limit=1e2',
      'limit=',
      'limit=5&limit=6',
      'limit[$gt]=1',
      '__proto__=1',
      'constructor=x',
    ]) {
      const answer = await call(`/things?${query}`);
      expect([query, answer.status]).toEqual([query, 400]);
      expect((await problem(answer)).code).toBe('validation_failed');
    }
    expect((await call('/things?limit=200')).status).toBe(200);
  });

  const inherited = Object.getOwnPropertyNames(Object.prototype);

  it.each([...inherited, 'prototype'])('with a member %s is refused as any unknown one', async (name) => {
    const unknown = { message: 'is not known here' };
    const good = '"name":"a","count":1,"inner":{"name":"b"}';
    for (const [body, pointer] of [
      [`{${good},"${name}":{"admin":true}}`, `/${name}`],
      [`{${good},"${name.replace('o', '\\u006f')}":null}`, `/${name}`],
      [`{"name":"a","count":1,"inner":{"name":"b","${name}":1}}`, `/inner/${name}`],
    ] as const) {
      const answer = await problem(await call('/things', json(body)));
      expect([answer.code, answer.errors]).toEqual(['validation_failed', [{ pointer, ...unknown }]]);
    }
    const inQuery = await problem(await call(`/things?${name}=1`));
    expect(inQuery.errors).toEqual([{ pointer: `/${name}`, in: 'query', ...unknown }]);
    const undeclared = await problem(await call(`/open?${name}=1`));
    expect(undeclared.errors).toEqual([{ pointer: `/${name}`, in: 'query', ...unknown }]);
    const headers = { authorization: 'Bearer admin', 'content-type': 'application/json' };
    const bodyless = await call('/admin', { method: 'POST', headers, body: `{"${name}":1}` });
    expect((await problem(bodyless)).errors).toEqual([{ pointer: `/${name}`, ...unknown }]);
  });

  it('of a query is refused where it is no percent-encoded UTF-8', async () => {
    for (const query of ['cursor=%ff', 'cursor=%', 'cursor=%zz', '%c3=1', 'cursor=%ed%a0%80']) {
      const answer = await call(`/things?${query}`);
      expect([query, answer.status]).toEqual([query, 400]);
      expect((await problem(answer)).code).toBe('validation_failed');
    }
  });

  it('of a query is refused on a route that has none', async () => {
    const { errors } = await problem(await call('/open?debug=true'));
    expect(errors).toEqual([{ pointer: '/debug', in: 'query', message: 'is not known here' }]);
  });

  it('with a thousand faults gets a short answer', async () => {
    const body = JSON.stringify(
      Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`${'k'.repeat(300)}${at}`, 1])),
    );
    const answer = await call('/things', json(body));
    expect((await answer.text()).length).toBeLessThan(10_000);
  });
});

describe('what is no request', () => {
  it.each([
    ['broken syntax', 'NONSENSE\r\n\r\n', 400, 'validation_failed'],
    [
      'two lengths',
      'POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      'validation_failed',
    ],
    [
      'length and chunks',
      'POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
      'validation_failed',
    ],
    ['two hosts', 'GET /open HTTP/1.1\r\nHost: x\r\nhost: y\r\nConnection: close\r\n\r\n', 400, 'validation_failed'],
    ['the same host twice', 'GET /open HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n', 400, 'validation_failed'],
    ['no host', 'GET /open HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'validation_failed'],
    ['headers of 20 kB', `GET /open HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
    ['a URL of 64 kB', `GET /${'x'.repeat(65_536)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431, 'headers_too_large'],
    ['headers that do not end', 'GET /open HTTP/1.1\r\nHost: x\r\n', 408, 'request_timeout'],
  ])('is answered with a problem for %s', async (_what, bytes, status, code) => {
    const answer = await sendRaw(http.port, bytes);
    expect([answer.status, (JSON.parse(answer.body || '{}') as ProblemBody).code]).toEqual([status, code]);
    expect(answer.headers).toMatchObject(SECURITY_HEADERS);
  });

  it('is answered although the client expects something unknown', async () => {
    const answer = await sendRaw(
      http.port,
      'GET /open HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nConnection: close\r\n\r\n',
    );
    expect(answer.status).toBe(200);
  });
});

describe('headers of every answer', () => {
  it.each(['/open', '/nowhere', '/mine', '/fails/internal', '/things?x=1'])(
    'are the security headers on %s',
    async (path) => {
      const answer = await call(path);
      expect(Object.fromEntries(answer.headers)).toMatchObject(SECURITY_HEADERS);
      expect(answer.headers.has('x-powered-by') || answer.headers.has('server')).toBe(false);
    },
  );

  it('repeat a sane request id and replace any other', async () => {
    const id = async (sent: string): Promise<string | null> =>
      (await call('/open', { headers: { 'x-request-id': sent } })).headers.get('x-request-id');
    for (const sane of ['order-17_A', 'a1', 'build.42']) expect(await id(sane)).toBe(sane);
    for (const bad of ['x'.repeat(65), 'has space in it', 'semi;colon'])
      expect(await id(bad)).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('name the id that the handler sees too, before and after a body was read', async () => {
    for (const init of [undefined, json(JSON.stringify({ name: 'a', count: 1, inner: { name: 'b' } }))]) {
      const answer = await call(init === undefined ? '/open' : '/things', init);
      expect(((await answer.json()) as { request_id: string }).request_id).toBe(answer.headers.get('x-request-id'));
    }
  });
});

describe('broken bytes behind a whole request', () => {
  const thing = JSON.stringify({ name: 'a', count: 1, inner: { name: 'b' } });
  const post = (path: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${thing.length}\r\n\r\n${thing}`;
  const statuses = async (bytes: string): Promise<string[]> => {
    const connection = await rawConnection(http.url);
    await connection.write(bytes);
    return [...(await connection.closed()).matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status!);
  };

  it.each([
    ['one', post('/things'), ['200', '400']],
    ['two', post('/things') + post('/things'), ['200', '200', '400']],
  ])('do not cost %s in front of them the answer', async (_, requests, expected) => {
    expect(await statuses(`${requests}garbage\r\n\r\n`)).toEqual(expected);
  });

  it('are answered at once within a body', async () => {
    const head =
      'POST /things HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(await statuses(`${head}zz\r\n`)).toEqual(['400']);
  });
});
