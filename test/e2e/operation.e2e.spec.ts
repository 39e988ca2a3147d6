import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STOP_WITHIN } from '../../src/bootstrap/server';
import { login, newPerson, register } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { describeWithPart, isLong, startOpenBao, startSecantus } from '../support/parts';
import { freePort, waitFor } from '../support/processes';
import { type Service, startService } from '../support/service';
import { blobFiles } from '../support/raw-http';
import { useRealDeadlines } from '../support/settings';
import { newUpload, offsetOf, patchUpload } from '../support/tus';
import { runTool, type ToolRun } from '../support/tools';

useRealDeadlines();

const LOGIN_HEAD = 'POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
/** What is sent of each upload: more than is kept in memory before a first write. */
const HALF = Buffer.alloc(1024 ** 2, 'h');
const SECRET = 'Zr8vQ2mX5tL0pW9sK4nB7yH1cJ6dF3gA';
const PRODUCTION = {
  NODE_ENV: 'production',
  JWT_SECRET: SECRET,
  PEPPER: `p${SECRET}`,
  COFFER_ROOT_KEY: `k${SECRET}`,
  RATE_LIMITS: 'on',
};

const running: Service[] = [];
async function start(options: Parameters<typeof startService>[0] = {}): Promise<Service> {
  const service = await startService(options);
  running.push(service);
  return service;
}
afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.dispose()));
});

/** A connection on which somebody sent a part of a request and waits. */
async function sendHalf(service: Service, bytes: readonly (string | Buffer)[]): Promise<Socket> {
  const socket = connect(service.port, '127.0.0.1');
  socket.on('error', () => undefined);
  for (const each of bytes) await new Promise((resolve) => socket.write(each, resolve));
  return socket;
}

/**
 * Each way to send a file, broken off in the middle of its bytes: raw with a length and in chunks,
 * as a form, as a piece of tus.
 */
function halfUploads(token: string, fileId: string, resumable: string): (readonly (string | Buffer)[])[] {
  const length = `Content-Length: ${4 * HALF.length}\r\n`;
  const head = (line: string, type: string, more: string): string =>
    `${line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: ${type}\r\n${more}\r\n`;
  const raw = 'application/octet-stream';
  const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="c"\r\n\r\n';
  const tus = 'Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n';
  return [
    [head('POST /files?name=a', raw, length), HALF],
    [head('POST /files?name=b', raw, 'Transfer-Encoding: chunked\r\n'), `${(2 * HALF.length).toString(16)}\r\n`, HALF],
    [head(`PUT /files/${fileId}/content`, raw, `If-Match: *\r\n${length}`), HALF],
    [head('POST /files', 'multipart/form-data; boundary=b', length), part, HALF],
    [head(`PATCH ${resumable}`, 'application/offset+octet-stream', `${tus}${length}`), HALF],
  ];
}

/** What a start that must fail said on its last line, and its exit code. */
async function refusal(options: Parameters<typeof startService>[0]): Promise<{ code: number | null; said: string }> {
  const service = await start({ ...options, ready: false });
  const code = await service.ended();
  return { code, said: service.logs().trim() };
}

describe('a start with nothing configured', () => {
  it('says where things are, what is a stand-in and which secrets it made, and shows none of them', async () => {
    const service = await start();
    const said = service.logs();
    for (const part of ['/docs', service.dataDir, 'outbox', 'Stand-ins', 'JWT_SECRET', 'PEPPER', 'COFFER_ROOT_KEY'])
      expect(said).toContain(part);
    const secrets = join(service.dataDir, 'secrets');
    for (const name of readdirSync(secrets)) {
      expect(statSync(join(secrets, name)).mode & 0o777).toBe(0o600);
      expect(said).not.toContain(readFileSync(join(secrets, name), 'utf8').trim());
    }
  });

  it('works a second time on the same data', async () => {
    const service = await start();
    const client = new Client(service.url);
    const person = await register(client);
    await service.stop();
    await service.restart();
    expect((await login(client, person)).token_type).toBe('bearer');
  });

  it('works twice at the same time on the same folder', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'coffer-twice-'));
    try {
      const [one, two] = await Promise.all([start({ dataDir }), start({ dataDir })]);
      const person = await register(new Client(one.url));
      expect((await login(new Client(two.url), person)).token_type).toBe('bearer');
      await Promise.all([one.stop(), two.stop()]);
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});

describe('a start that must not be', () => {
  it.each([
    ['without a secret in production', { ...PRODUCTION, PEPPER: '' }, /^coffer: PEPPER must be set in production.*$/],
    [
      'without any',
      { NODE_ENV: 'production', RATE_LIMITS: 'on' },
      /^coffer: COFFER_ROOT_KEY, JWT_SECRET, PEPPER must be set in production.*$/,
    ],
    [
      'with a sample secret',
      { ...PRODUCTION, JWT_SECRET: 'change-me-change-me-change-me-change-me' },
      /^coffer: JWT_SECRET has a sample value.*$/,
    ],
    ['with a mistyped value', { LOG_LEVEL: 'chatty' }, /^coffer: LOG_LEVEL must be one of.*$/],
  ])('%s ends with one line and code 1', async (_what, env: Record<string, string>, line) => {
    const { code, said } = await refusal({ env });
    expect([code, said.split('\n').length]).toEqual([1, 1]);
    expect(said).toMatch(line);
  });

  it('on data of another setup ends with one line and code 1', async () => {
    const service = await start();
    await service.stop();
    const { code, said } = await refusal({ dataDir: service.dataDir, env: { COFFER_ROOT_KEY: `other-${SECRET}` } });
    expect([code, said.split('\n').length]).toEqual([1, 1]);
  });

  it('on a taken port ends with a line that names PORT', async () => {
    const service = await start();
    const { code, said } = await refusal({ port: service.port });
    expect([code, said.trim()]).toEqual([1, 'coffer: PORT is in use by another process.']);
  });
});

describe('production', () => {
  it('shows neither Swagger UI nor figures to everybody', async () => {
    const client = new Client((await start({ env: PRODUCTION })).url);
    for (const path of ['/docs', '/docs/swagger-ui.css', '/openapi.json', '/metrics'])
      expect((await client.get(path)).status).toBe(404);
    expect((await client.get('/')).status).toBe(200);
  });

  it('warns at its start of each stand-in that it runs on', async () => {
    const service = await start({ env: PRODUCTION });
    const warned = await waitFor('three warnings', () => {
      const lines = service
        .logs()
        .split('\n')
        .filter((line) => line.includes('"production runs on a stand-in"'));
      return lines.length >= 3 && lines;
    });
    const named = warned.map((line) => JSON.parse(line) as { level: string; stand_in: string });
    expect(named.map(({ level, stand_in: name }) => [level, name.split(';')[0]])).toEqual([
      ['warn', 'embedded store, for one host'],
      ['warn', 'local keyring'],
      ['warn', 'mail goes to a folder'],
    ]);
  });

  it('shows them to those who are meant to see them', async () => {
    const env = { ...PRODUCTION, DOCS: 'on', METRICS_TOKEN: SECRET };
    const client = new Client((await start({ env })).url);
    expect((await client.get('/docs')).status).toBe(200);
    expect((await client.get('/metrics')).status).toBe(401);
    expect((await client.as(`${SECRET}x`).get('/metrics')).status).toBe(401);
    expect((await client.as(SECRET).get('/metrics')).text).toContain('process_cpu_seconds_total');
  });
});

describe('a stop', () => {
  it('lets an upload finish, ends with code 0 and keeps what was stored', async () => {
    const service = await start();
    const client = new Client(service.url);
    const person = await register(client);
    const { access_token: token } = await login(client, person);
    const socket = connect(service.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    const head = `POST /files?name=a.bin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/octet-stream\r\nContent-Length: 10\r\n\r\n`;
    socket.write(`${head}half.`);
    const partials = join(service.dataDir, 'blobs', 'partial');
    await waitFor('the upload to have begun', () =>
      Promise.resolve(existsSync(partials) && readdirSync(partials).length > 0),
    );
    const stopped = service.stop();
    await waitFor(
      'the stop to have begun',
      async () => (await client.get('/readyz').catch(() => ({ status: 503 }))).status === 503,
    );
    socket.write('other');
    expect(await stopped).toBe(0);
    expect(answer).toMatch(/^HTTP\/1\.1 201 /);
    await service.restart();
    const found = await client.as((await login(client, person)).access_token).get('/files/by-name/a.bin/content');
    expect(found.text).toBe('half.other');
  });

  it('is not kept waiting by requests that are sent by half', async () => {
    // What hangs is given up by timers, whose sum an orchestrator that kills after 30 s waits for.
    expect(STOP_WITHIN).toBeLessThan(25_000);
    if (!isLong()) return;
    const service = await start();
    const heads = ['POST /login HTTP/1.1\r\nHost: x\r\n', `${LOGIN_HEAD}Content-Length: 100\r\n\r\n{"user`];
    const sockets = heads.map((head) => {
      const socket = connect(service.port, '127.0.0.1');
      socket.on('error', () => undefined).write(head);
      return socket;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const begun = performance.now();
    process.kill(service.pid, 'SIGTERM');
    expect(await service.ended()).toBe(0);
    expect(performance.now() - begun).toBeLessThan(25_000);
    for (const socket of sockets) socket.destroy();
  }, 120_000);

  it('is not kept waiting by uploads that are sent by half, keeps none of them, and a resumable one goes on', async () => {
    if (!isLong()) return;
    const service = await start();
    const anybody = new Client(service.url);
    const person = await register(anybody);
    const { access_token: token } = await login(anybody, person);
    const client = anybody.as(token);
    const kept = expectStatus(await client.upload('kept', 'first'), 201) as { id: string };
    const resumable = await newUpload(client, 'resumable', 4 * HALF.length);
    const stored = (await blobFiles(service.dataDir)).length;
    const halves = halfUploads(token, kept.id, new URL(resumable, service.url).pathname);
    const sockets = await Promise.all(halves.map((bytes) => sendHalf(service, bytes)));
    await waitFor('all to have begun', async () => (await blobFiles(service.dataDir)).length >= stored + halves.length);
    const begun = performance.now();
    process.kill(service.pid, 'SIGTERM');
    expect(await service.ended()).toBe(0);
    expect(performance.now() - begun).toBeLessThan(25_000);
    for (const socket of sockets) socket.destroy();
    await service.restart();
    const again = anybody.as((await login(anybody, person)).access_token);
    const { items } = expectStatus(await again.get('/files'), 200) as { items: { name: string }[] };
    expect(items.map(({ name }) => name)).toEqual(['kept']);
    expect((await again.get(`/files/${kept.id}/content`)).text).toBe('first');
    const offset = await offsetOf(again, resumable);
    expect(offset).toBeGreaterThan(0);
    const last = await patchUpload(again, resumable, offset, Buffer.alloc(4 * HALF.length - offset, 'h'));
    expect([last.status, last.headers['file-id']]).toEqual([204, expect.any(String)]);
  }, 180_000);

  it('at the second signal happens at once', async () => {
    const service = await start();
    const { access_token: token } = await login(new Client(service.url), await register(new Client(service.url)));
    const socket = connect(service.port, '127.0.0.1');
    socket.on('error', () => undefined);
    const head = `POST /files?name=b.bin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/octet-stream\r\nContent-Length: 10\r\n\r\n`;
    socket.write(`${head}half.`);
    await waitFor('the upload to have begun', () =>
      Promise.resolve(readdirSync(join(service.dataDir, 'blobs', 'partial')).length > 0),
    );
    process.kill(service.pid, 'SIGTERM');
    const again = setInterval(() => process.kill(service.pid, 'SIGTERM'), 300);
    expect(await service.ended()).toBe(1);
    clearInterval(again);
    socket.destroy();
  });
});

describe('the log', () => {
  it('names routes by template, with the request id, and holds nothing that was sent', async () => {
    const service = await start();
    const client = new Client(service.url);
    const person = { ...newPerson(), password: 'Passw0rd!of-this-test' };
    await register(client, person);
    const { access_token: token } = await login(client, person);
    const created = await client.as(token).post('/sensitive-data', { data_type: 'note', value: 'value-of-this-test' });
    const { id } = created.json as { id: string };
    await client
      .as(token)
      .get(`/sensitive-data/${id}?view=masked`, { headers: { 'x-request-id': 'request-of-this-test' } });
    await client.get('/nowhere/path-of-this-test?q=query-of-this-test');
    // A line is written after its answer, and comes through a pipe.
    const lines = await waitFor('the lines of both requests', () => {
      const logged = service.logs();
      const both = logged.includes('"request_id":"request-of-this-test"') && logged.includes('"status":404');
      return Promise.resolve(both ? logged : undefined);
    });
    expect(lines).toContain('"route":"/sensitive-data/:id"');
    for (const secret of [token, person.password, 'value-of-this-test', 'path-of-this-test', 'query-of-this-test', id])
      expect(lines).not.toContain(secret);
  });
});

describe('npm run admin', () => {
  const admin = (service: Service, ...args: string[]): Promise<ToolRun> => runTool(service, 'admin', ...args);

  it('makes an administrator of an account while the service runs, and an ordinary user again', async () => {
    const service = await start({ env: { BOOTSTRAP_ADMIN: 'none' } });
    const client = new Client(service.url);
    const person = await register(client);
    const caller = client.as((await login(client, person)).access_token);
    expect((await caller.get('/rotations')).status).toBe(403);
    expect(await admin(service, 'grant', person.username)).toMatchObject({ code: 0, err: '' });
    expect((await caller.get('/rotations')).status).toBe(200);
    const last = await admin(service, 'revoke', person.username);
    expect([last.code, last.err]).toEqual([1, expect.stringContaining('This is the last administrator.')]);
    const other = await register(client);
    expect((await admin(service, 'grant', other.username)).code).toBe(0);
    expect((await admin(service, 'revoke', person.username)).code).toBe(0);
    expect((await caller.get('/rotations')).status).toBe(403);
  });

  it('ends a lockout while the service runs', async () => {
    const service = await start();
    const client = new Client(service.url);
    const person = await register(client);
    const { username, password } = person;
    for (let count = 0; count < 5; count += 1) await client.post('/login', { username, password: 'Wrong-Horse-7' });
    expect((await client.post('/login', { username, password })).status).toBe(429);
    const said = await admin(service, 'unlock', username.toUpperCase());
    expect(said).toMatchObject({ code: 0, err: '', out: expect.stringContaining(`${username} can log in again`) });
    expect((await client.post('/login', { username, password })).status).toBe(200);
    const unknown = await admin(service, 'unlock', 'nobody');
    expect([unknown.code, unknown.err]).toEqual([1, 'coffer: There is no account of this name.\n']);
  });

  it('refuses with 1 what is not there, and with 2 what it does not understand', async () => {
    const service = await start();
    const unknown = await admin(service, 'grant', 'nobody');
    expect([unknown.code, unknown.err]).toEqual([1, 'coffer: There is no account of this name.\n']);
    expect((await admin(service, 'crown', 'alice')).code).toBe(2);
  });
});

describeWithPart('openbao', 'a key service that is down at the start', () => {
  it('is named by /readyz and by each request, and the start goes on when it is back', async () => {
    const bao = await startOpenBao();
    try {
      bao.pause();
      const env = { VAULT_ADDR: bao.address, VAULT_ROLE_ID: bao.roleId, VAULT_SECRET_ID: bao.secretId };
      const service = await start({ env, ready: false });
      const client = new Client(service.url);
      await waitFor(
        'the service to listen',
        async () => (await client.get('/livez').catch(() => undefined))?.status === 200,
      );
      const ready = await client.get('/readyz');
      expect([ready.status, ready.json.code, ready.json.down]).toEqual([503, 'kms_unavailable', ['kms']]);
      const refused = await client.post('/login', { username: 'alice', password: 'x' });
      expect([refused.status, refused.json.code]).toEqual([503, 'kms_unavailable']);
      bao.resume();
      await waitFor('the service to be ready', async () => (await client.get('/readyz')).status === 200);
      await login(client, await register(client));
    } finally {
      await bao.stop();
    }
  });
});

describeWithPart('secantus', 'a store that is down at the start', () => {
  it('is named by /readyz and by each request, and the start goes on when it is there', async () => {
    const secantus = await startSecantus();
    try {
      secantus.pause();
      const service = await start({ env: { MONGODB_URL: secantus.url }, ready: false, port: await freePort() });
      const client = new Client(service.url);
      await waitFor(
        'the service to listen',
        async () => (await client.get('/livez').catch(() => undefined))?.status === 200,
      );
      const ready = await client.get('/readyz');
      expect([ready.status, ready.json.code]).toEqual([503, 'store_unavailable']);
      expect(ready.json.down).toEqual(['store']);
      expect((await client.post('/login', { username: 'alice', password: 'x' })).json.code).toBe('store_unavailable');
      secantus.resume();
      await waitFor('the service to be ready', async () => (await client.get('/readyz')).status === 200);
    } finally {
      await secantus.stop();
    }
  });
});
