import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Upload } from 'tus-js-client';
import { newPerson, signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { sampleBytes } from '../support/messages';
import { describeWithLongPart, type LongPart } from '../support/parts';
import { accepts, freePort, type Managed, startProcess, waitFor } from '../support/processes';
import { blobFiles } from '../support/raw-http';
import { projectRoot } from '../support/root';
import { type Service, startService } from '../support/service';
import { metadataOf, newUpload, offsetOf } from '../support/tus';

const MIB = 1024 ** 2;
const example = (name: string): string => readFileSync(join(projectRoot(), 'deploy/proxy', name), 'utf8');

jest.setTimeout(180_000);

/**
 * Replaces what an example says of a machine; a text that is not there is a mistake of this test.
 */
function changed(text: string, changes: readonly (readonly [string | RegExp, string])[]): string {
  return changes.reduce((before, [from, to]) => {
    const after = before.replace(from, to);
    if (after === before) throw new Error(`the example has no ${String(from)}`);
    return after;
  }, text);
}

/** The path of PUBLIC_URL that a proxy strips, by the examples of docs/operations.md. */
const PREFIX = '/vault';

/**
 * An example of "Below a path": the first lines of a `location` for nginx, a whole site for Caddy.
 */
function pathExample(language: 'nginx' | 'caddy'): string {
  const page = readFileSync(join(projectRoot(), 'docs/operations.md'), 'utf8');
  const section = page.slice(page.indexOf('### Below a path'));
  const [, code] = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(section) ?? [];
  if (code === undefined) throw new Error(`docs/operations.md has no example for ${language} below a path`);
  return code;
}

interface ProxyRun {
  readonly program: string;
  readonly folder: string;
  readonly port: number;
  readonly upstream: number;
  /** PREFIX, or empty. */
  readonly prefix: string;
}

/**
 * nginx with the shipped example, on loopback and without TLS, since a test has no certificate for
 * its name.
 */
function startNginx({ program, folder, port, upstream, prefix }: ProxyRun): Managed {
  const whole = changed(example('nginx.conf'), [
    ['127.0.0.1:8000', `127.0.0.1:${upstream}`],
    ['listen 443 ssl http2', `listen 127.0.0.1:${port}`],
    [/ {2}ssl_.*\n/g, ''],
  ]);
  const below = (): string => changed(whole, [[/ {2}location \/ \{\n +proxy_pass .*;\n/, pathExample('nginx')]]);
  const server = prefix === '' ? whole : below();
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name));
  const paths = ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) =>
    name === 'body' ? `client_body_temp_path ${folder}/body;` : `${name}_temp_path ${folder}/${name};`,
  );
  const head = `daemon off; pid ${folder}/nginx.pid; error_log stderr; events {}`;
  writeFileSync(join(folder, 'nginx.conf'), `${head}\nhttp { access_log off; ${paths.join(' ')}\n${server}\n}\n`);
  return startProcess(program, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']);
}

function startCaddy({ program, folder, port, upstream, prefix }: ProxyRun): Managed {
  const site = changed(prefix === '' ? example('Caddyfile') : pathExample('caddy'), [
    ['vault.example.org {', `http://127.0.0.1:${port} {`],
    ['reverse_proxy 127.0.0.1:8000', `reverse_proxy 127.0.0.1:${upstream}`],
  ]);
  writeFileSync(join(folder, 'Caddyfile'), `{\n\tadmin off\n\tauto_https off\n}\n${site}`);
  const env = { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  return startProcess(program, ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], { env });
}

interface Proxied {
  readonly service: Service;
  /** An account whose requests go through the proxy. */
  readonly client: Client;
  dispose(): Promise<void>;
}

async function startBehind(program: string, startProxy: typeof startNginx, prefix: string): Promise<Proxied> {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-proxy-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}${prefix}`;
  const service = await startService({
    env: { TRUSTED_PROXIES: 'loopback', PUBLIC_URL: url },
    readyWithinMs: 120_000,
  });
  const proxy = startProxy({ program, folder, port, upstream: service.port, prefix });
  const dispose = async (): Promise<void> => {
    await proxy.stop();
    await service.dispose();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitFor(`${program} to listen`, async () => {
      if (!proxy.running()) throw new Error(proxy.output());
      return accepts(port);
    });
    return { service, client: (await signUp(new Client(url), newPerson())).client, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** What the service has of uploads that are under way. */
async function bytesReceived(service: Service): Promise<number> {
  const files = (await blobFiles(service.dataDir)).filter((file) => file.includes('/partial/'));
  return files.reduce((sum, file) => sum + statSync(file).size, 0);
}

/**
 * Uploads with tus-js-client, which is broken off once after its first pieces and goes on where the
 * server stands.
 */
async function tusUpload(client: Client, content: Buffer): Promise<{ readonly url: string; readonly fileId: string }> {
  return new Promise((resolve, reject) => {
    let fileId = '';
    let broken = false;
    const upload = new Upload(content, {
      endpoint: `${client.target()}/uploads`,
      chunkSize: MIB,
      retryDelays: null,
      headers: { authorization: `Bearer ${client.token ?? ''}` },
      metadata: { filename: 'with a client of tus' },
      onAfterResponse: (_request, response) => void (fileId = response.getHeader('file-id') ?? fileId),
      onChunkComplete: () => {
        if (broken) return;
        broken = true;
        upload.abort().then(() => upload.start(), reject);
      },
      onError: reject,
      onSuccess: () => resolve({ url: upload.url ?? '', fileId }),
    });
    upload.start();
  });
}

const PROXIES: readonly (readonly [LongPart, typeof startNginx])[] = [
  ['nginx', startNginx],
  ['caddy', startCaddy],
];

describe.each(PROXIES)('The example for %s', (part, startProxy) => {
  describeWithLongPart(part, 'in front of a service', (program) => {
    let proxied: Proxied;
    let service: Service;
    let client: Client;
    let direct: Client;

    beforeAll(async () => {
      proxied = await startBehind(program, startProxy, '');
      ({ service, client } = proxied);
      direct = new Client(service.url, client.token);
    });
    afterAll(() => proxied.dispose());

    it('takes a file that is larger than any default, and gives it back with a strong ETag and by ranges', async () => {
      const bytes = Buffer.concat([Buffer.alloc(8 * MIB, 'coffer '), randomBytes(10)]);
      const headers = { 'content-type': 'application/octet-stream' };
      const sent = await client.post('/files', undefined, { query: { name: 'a.txt' }, body: bytes, headers });
      const { id, sha256 } = expectStatus(sent, 201) as { id: string; sha256: string };
      expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
      const whole = await client.get(`/files/${id}/content`, { headers: { 'accept-encoding': 'gzip, br' } });
      expect(whole.bytes.equals(bytes)).toBe(true);
      expect([whole.headers['content-encoding'], whole.headers['etag']?.startsWith('"')]).toEqual([undefined, true]);
      const range = { range: 'bytes=-10', 'if-range': whole.headers['etag']! };
      const end = await client.get(`/files/${id}/content`, { headers: range });
      expect([end.status, end.bytes.equals(bytes.subarray(-10))]).toEqual([206, true]);
    });

    it('hands on the bytes of an upload as they come, and does not send it again when it breaks off', async () => {
      const path = new URL(await newUpload(client, 'b.bin', 4 * MIB), 'http://any').pathname;
      const headers = {
        'tus-resumable': '1.0.0',
        'upload-offset': '0',
        'content-type': 'application/offset+octet-stream',
      };
      const target = new URL(client.target());
      const half = request({
        host: target.hostname,
        port: target.port,
        method: 'PATCH',
        path,
        headers: { ...headers, authorization: `Bearer ${client.token ?? ''}`, 'content-length': String(4 * MIB) },
      });
      half.on('error', () => undefined);
      half.write(Buffer.alloc(2 * MIB));
      // The sender is silent now: only what the proxy handed on has reached the service.
      await waitFor('bytes at the service', async () => (await bytesReceived(service)) >= MIB, 60_000);
      half.destroy();
      await waitFor(
        'the upload to be kept up to where it broke off',
        async () => (await offsetOf(direct, path)) > 0,
        60_000,
      );
    });

    it('takes an upload of tus-js-client, which is broken off once', async () => {
      const content = sampleBytes(5 * MIB);
      const { url, fileId } = await tusUpload(client, content);
      expect(url).toBe(`${client.target()}/uploads/${fileId}`);
      expect((await client.get(`/files/${fileId}/content`)).bytes.equals(content)).toBe(true);
    });

    it('believes no address that the client made up', async () => {
      const headers = { 'x-forwarded-for': '203.0.113.7' };
      await client.as(undefined).post('/login', { username: 'nobody', password: 'x' }, { headers });
      const line = await waitFor('the line of the refusal', () =>
        service
          .logs()
          .split('\n')
          .find((text) => text.includes('"/login"') && text.includes('"status":401')),
      );
      expect(JSON.parse(line)).toMatchObject({ address: '127.0.0.1' });
    });

    it('keeps the metadata of tus and the address in Location', async () => {
      const answer = await client.send('POST', '/uploads', {
        headers: { 'tus-resumable': '1.0.0', 'upload-length': '1', 'upload-metadata': metadataOf({ filename: 'c' }) },
      });
      expect([answer.status, answer.headers['tus-resumable']]).toEqual([201, '1.0.0']);
      expect(answer.headers['location']).toMatch(/\/uploads\/[\w-]+$/);
    });
  });

  describeWithLongPart(part, 'that strips a path, which PUBLIC_URL has', (program) => {
    let proxied: Proxied;
    let client: Client;

    beforeAll(async () => {
      proxied = await startBehind(program, startProxy, PREFIX);
      ({ client } = proxied);
    });
    afterAll(() => proxied.dispose());

    it('takes an upload of tus-js-client, which is broken off once', async () => {
      const content = sampleBytes(5 * MIB);
      const { url, fileId } = await tusUpload(client, content);
      expect(new URL(url).pathname).toBe(`${PREFIX}/uploads/${fileId}`);
      expect((await client.get(`/files/${fileId}/content`)).bytes.equals(content)).toBe(true);
    });

    it('hands on an encoded name and a query as they came', async () => {
      const name = 'b%41 ü+?#;\\.txt';
      const query = { name };
      const headers = { 'content-type': 'application/octet-stream' };
      const sent = await client.post('/files', undefined, { query, body: Buffer.from('of a name'), headers });
      expect((expectStatus(sent, 201) as { name: string }).name).toBe(name);
      const found = await client.get(`/files/by-name/${encodeURIComponent(name)}/content`);
      expect([found.status, found.text]).toEqual([200, 'of a name']);
      const location = sent.headers['location']!;
      expect(location).toMatch(new RegExp(`^${PREFIX}/files/`));
      expect((await client.get(new URL(location, client.target()).href)).status).toBe(200);
    });

    it('leaves what is beside the path alone', async () => {
      const beside = await fetch(new URL('/livez', client.target()));
      expect(beside.headers.get('x-request-id')).toBeNull();
      expect((await client.get('/livez')).headers['x-request-id']).toBeDefined();
    });
  });
});
