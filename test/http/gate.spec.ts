import { Controller, Get } from '@nestjs/common';
import { CallerPerson, Policy } from '../../src/http';
import { DomainError, Person, StartupError } from '../../src/kernel';
import { HttpApp, startHttpApp } from '../support/http-app';
import { SampleController } from './sample.controller';

let http: HttpApp;

beforeAll(async () => {
  http = await startHttpApp({ controllers: [SampleController] });
});
afterAll(() => http.close());

const call = (path: string, token?: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${http.url}${path}`, { ...init, headers: token === undefined ? {} : { authorization: token } });
const codeOf = async (answer: Response): Promise<string> => ((await answer.json()) as { code: string }).code;

describe('a route without a policy', () => {
  it('stops the start, and the refusal names it', async () => {
    @Controller()
    class ForgetfulController {
      @Get('forgotten')
      read(): object {
        return {};
      }
    }
    const started = startHttpApp({ controllers: [ForgetfulController] });
    await expect(started).rejects.toThrow(StartupError);
    await expect(started).rejects.toThrow('The route GET /forgotten declares no policy.');
  });

  it('stops the start also where the others of its controller have one', async () => {
    @Controller()
    class MixedController {
      @Get('declared')
      @Policy({ access: 'public' })
      declared(): object {
        return {};
      }

      @Get('undeclared')
      undeclared(): object {
        return {};
      }
    }
    await expect(startHttpApp({ controllers: [MixedController] })).rejects.toThrow('GET /undeclared');
  });
});

describe('a route for users', () => {
  it('is served with a bearer token, whatever the case of the scheme', async () => {
    expect(await (await call('/mine', 'Bearer ann')).json()).toEqual({ user: 'id-of-ann' });
    expect((await call('/mine', 'bearer ann')).status).toBe(200);
  });

  it('challenges without an error where no token was sent (RFC 6750, 3.1)', async () => {
    const answer = await call('/mine');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="coffer"');
    expect(await codeOf(answer)).toBe('unauthenticated');
  });

  it.each(['ann', 'Basic YTpi', 'Bearer', 'Bearer a b', 'Bearer a,b', 'Bearer "ann"'])(
    'refuses the header %s',
    async (header) => {
      expect((await call('/mine', header)).status).toBe(401);
    },
  );

  it.each([
    ['expired', 'token_expired'],
    ['ended', 'invalid_session'],
  ])('tells a client with an %s token that it is invalid', async (token, code) => {
    const answer = await call('/mine', `Bearer ${token}`);
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(await codeOf(answer)).toBe(code);
  });

  it('is not served to HEAD without a token either', async () => {
    expect((await call('/mine', undefined, { method: 'HEAD' })).status).toBe(401);
  });
});

describe('a route that wants a scope', () => {
  it('is served to a principal of another kind that has the scope', async () => {
    expect(await (await call('/mine', 'Bearer reader.service')).json()).toEqual({ user: 'id-of-reader' });
  });

  it('is not served without the scope, nor where it is for persons', async () => {
    for (const path of ['/create', '/account']) {
      const answer = await call(path, 'Bearer reader.service', path === '/create' ? { method: 'POST' } : {});
      expect([path, answer.status, await codeOf(answer)]).toEqual([path, 403, 'insufficient_scope']);
    }
  });

  it('does not pass others to a handler that works on a session', () => {
    expect(() => {
      class CarelessController {
        @Get('careless')
        @Policy({ scope: 'files:read' })
        read(@CallerPerson() caller: Person): string {
          return caller.sessionId;
        }
      }
      return CarelessController;
    }).toThrow('CarelessController.read takes a person, and its policy admits other principals');
  });
});

describe('a route with an optional token', () => {
  it('is served without one, knows its sender with one, and refuses one that does not hold', async () => {
    expect(await (await call('/maybe')).json()).toEqual({ user: null });
    expect(await (await call('/maybe', 'Bearer ann')).json()).toEqual({ user: 'id-of-ann' });
    expect((await call('/maybe', 'Bearer expired')).status).toBe(401);
  });
});

describe('a route for administrators', () => {
  it('is 403 for users, 401 for nobody', async () => {
    const post = { method: 'POST' };
    expect((await call('/admin', 'Bearer admin', post)).status).toBe(200);
    expect(await codeOf(await call('/admin', 'Bearer ann', post))).toBe('permission_denied');
    expect((await call('/admin', undefined, post)).status).toBe(401);
  });
});

describe('a dangerous route', () => {
  it('wants a login within 5 minutes and challenges by RFC 9470 otherwise', async () => {
    expect((await call('/dangerous', 'Bearer ann', { method: 'POST' })).status).toBe(200);
    const answer = await call('/dangerous', 'Bearer ann.stale', { method: 'POST' });
    expect(answer.status).toBe(401);
    const challenge = answer.headers.get('www-authenticate');
    expect(challenge).toContain('error="insufficient_user_authentication"');
    expect(challenge).toContain('max_age=300');
    expect(await codeOf(answer)).toBe('step_up_required');
  });
});

describe('while the service starts', () => {
  afterEach(() => http.lifecycle.started());

  it('every route is 503 with what is waited for, except those that answer always', async () => {
    http.lifecycle.waitsFor(new DomainError('kms_unavailable'));
    for (const path of ['/open', '/mine', '/limited']) {
      const answer = await call(path);
      expect([answer.status, await codeOf(answer)]).toEqual([503, 'kms_unavailable']);
      expect(answer.headers.has('retry-after')).toBe(true);
    }
    expect((await call('/always')).status).toBe(200);
    expect((await call('/nowhere')).status).toBe(404);
  });
});

describe('limits by address', () => {
  it('answer 429 with the policy, what is left and when to come back, and count addresses apart', async () => {
    const proxied = await startHttpApp({
      controllers: [SampleController],
      env: { TRUSTED_PROXIES: 'loopback', RATE_LIMIT_LOGIN: '30' },
    });
    const from = (address: string): Promise<Response> =>
      fetch(`${proxied.url}/limited`, { headers: { 'x-forwarded-for': address } });
    try {
      await Promise.all(Array.from({ length: 30 }, () => from('2001:db8:1:2::1')));
      const spent = await from('2001:db8:1:2:ffff::9');
      expect([spent.status, await codeOf(spent)]).toEqual([429, 'rate_limited']);
      expect(spent.headers.get('ratelimit-policy')).toBe('"login";q=30;w=60');
      expect(spent.headers.get('ratelimit')).toMatch(/^"login";r=0;t=\d+$/);
      expect(spent.headers.get('retry-after')).toMatch(/^[1-9]\d?$/);
      expect((await from('2001:db8:1:3::1')).status).toBe(200);
      expect((await from('192.0.2.7')).status).toBe(200);
    } finally {
      await proxied.close();
    }
  });

  it('do not believe a client that names its address itself', async () => {
    const narrow = await startHttpApp({ controllers: [SampleController], env: { RATE_LIMIT_LOGIN: '30' } });
    const spend = Array.from({ length: 31 }, (_, at) =>
      fetch(`${narrow.url}/limited`, { headers: { 'x-forwarded-for': `192.0.2.${at % 250}` } }),
    );
    const statuses = (await Promise.all(spend)).map((answer) => answer.status);
    expect(statuses.filter((status) => status === 429)).toHaveLength(1);
    await narrow.close();
  });

  it('do not count for networks of backends, which RATE_LIMIT_EXEMPT names', async () => {
    const env = {
      TRUSTED_PROXIES: 'loopback',
      RATE_LIMIT_LOGIN: '2',
      RATE_LIMIT_EXEMPT: '10.1.0.0/16, 2001:db8:9::/48',
    };
    const proxied = await startHttpApp({ controllers: [SampleController], env });
    const statuses = async (address: string): Promise<number[]> => {
      const options = { headers: { 'x-forwarded-for': address } };
      const answers = await Promise.all([1, 2, 3].map(() => fetch(`${proxied.url}/limited`, options)));
      return answers.map(({ status }) => status).sort();
    };
    expect(await statuses('10.1.200.7')).toEqual([200, 200, 200]);
    expect(await statuses('2001:db8:9:1::1')).toEqual([200, 200, 200]);
    expect(await statuses('::ffff:10.1.2.3')).toEqual([200, 200, 200]);
    expect(await statuses('10.2.0.1')).toEqual([200, 200, 429]);
    await proxied.close();
  });

  it('are lifted by RATE_LIMITS=off', async () => {
    const open = await startHttpApp({ controllers: [SampleController], env: { RATE_LIMITS: 'off' } });
    try {
      const answers = await Promise.all(Array.from({ length: 601 }, () => fetch(`${open.url}/limited`)));
      expect(answers.every((answer) => answer.status === 200)).toBe(true);
    } finally {
      await open.close();
    }
  });
});

/** What scripts of other origins need beyond the headers that browsers show them anyway. */
const EXPOSED = [
  ...['accept-ranges', 'content-range', 'content-disposition', 'etag', 'location', 'link', 'allow'],
  ...['ratelimit', 'ratelimit-policy', 'retry-after', 'x-request-id', 'www-authenticate', 'file-id'],
  ...['tus-resumable', 'tus-version', 'tus-extension', 'tus-max-size', 'tus-checksum-algorithm'],
  ...['upload-offset', 'upload-length', 'upload-metadata', 'upload-expires'],
];

describe('other origins', () => {
  let open: HttpApp;
  beforeAll(async () => {
    open = await startHttpApp({ controllers: [SampleController], env: { CORS_ORIGINS: 'https://app.example' } });
  });
  afterAll(() => open.close());

  const preflight = (path: string, origin: string): Promise<Response> =>
    fetch(`${open.url}${path}`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });

  it('may call where CORS_ORIGINS names them, errors included', async () => {
    expect((await preflight('/things', 'https://app.example')).headers.get('access-control-allow-origin')).toBe(
      'https://app.example',
    );
    const refused = await fetch(`${open.url}/mine`, { headers: { origin: 'https://app.example' } });
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, 'https://app.example']);
    const exposed = (refused.headers.get('access-control-expose-headers') ?? '').split(/, */);
    expect(exposed).toEqual(expect.arrayContaining(EXPOSED));
  });

  it('may not call otherwise', async () => {
    const foreign = await preflight('/things', 'https://evil.example');
    expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
    const answer = await fetch(`${http.url}/open`, { headers: { origin: 'https://app.example' } });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('do not turn an unknown path into a known one', async () => {
    expect((await fetch(`${open.url}/nowhere`, { method: 'OPTIONS' })).status).toBe(404);
    const plain = await fetch(`${open.url}/open`, { method: 'OPTIONS' });
    expect([plain.status, plain.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS']);
  });
});

describe('figures', () => {
  it('count requests by template, method and status, never by the path that was asked for', async () => {
    await call('/things/an-id-in-the-path', undefined, { method: 'PATCH' });
    await call('/nowhere/else?secret=1');
    const text = await http.metrics.registry.metrics();
    expect(text).toContain(
      'http_server_request_duration_seconds_count{method="PATCH",route="/things/:id",status="200"} 1',
    );
    expect(text).toContain('route="unmatched",status="404"');
    expect(text).not.toMatch(/an-id-in-the-path|secret=1|nowhere/);
  });
});
