import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newPerson, signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { describeWithLongPart, type LongPart } from '../support/parts';
import { accepts, freePort, type Managed, startProcess, waitFor } from '../support/processes';
import { projectRoot } from '../support/root';
import { type Service, startService } from '../support/service';
import { metadataOf, newUpload, offsetOf } from '../support/tus';

const MIB = 1024 ** 2;
const example = (name: string): string => readFileSync(join(projectRoot(), 'deploy/proxy', name), 'utf8');

jest.setTimeout(180_000);

/** Replaces what an example says of a machine; a text that is not there is a mistake of this test. */
function changed(text: string, changes: readonly (readonly [string | RegExp, string])[]): string {
  return changes.reduce((before, [from, to]) => {
    const after = before.replace(from, to);
    if (after === before) throw new Error(`the example has no ${String(from)}`);
    return after;
  }, text);
}

/** nginx with the shipped example, on loopback and without TLS, since a test has no certificate for its name. */
function startNginx(program: string, folder: string, port: number, upstream: number): Managed {
  const server = changed(example('nginx.conf'), [
    ['127.0.0.1:8000', `127.0.0.1:${upstream}`],
    ['listen 443 ssl http2', `listen 127.0.0.1:${port}`],
    [/ {2}ssl_.*\n/g, ''],
  ]);
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name));
  const paths = ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) =>
    name === 'body' ? `client_body_temp_path ${folder}/body;` : `${name}_temp_path ${folder}/${name};`,
  );
  const head = `daemon off; pid ${folder}/nginx.pid; error_log stderr; events {}`;
  writeFileSync(join(folder, 'nginx.conf'), `${head}\nhttp { access_log off; ${paths.join(' ')}\n${server}\n}\n`);
  return startProcess(program, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']);
}

function startCaddy(program: string, folder: string, port: number, upstream: number): Managed {
  const site = changed(example('Caddyfile'), [
    ['vault.example.org {', `http://127.0.0.1:${port} {`],
    ['reverse_proxy 127.0.0.1:8000', `reverse_proxy 127.0.0.1:${upstream}`],
  ]);
  writeFileSync(join(folder, 'Caddyfile'), `{\n\tadmin off\n\tauto_https off\n}\n${site}`);
  const env = { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  return startProcess(program, ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], { env });
}

const PROXIES: readonly (readonly [LongPart, typeof startNginx])[] = [
  ['nginx', startNginx],
  ['caddy', startCaddy],
];

describe.each(PROXIES)('The example for %s', (part, startProxy) => {
  describeWithLongPart(part, 'in front of a service', (program) => {
    let folder: string;
    let service: Service;
    let proxy: Managed;
    let client: Client;
    let direct: Client;
    let token: string;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'coffer-proxy-'));
      const env = { TRUSTED_PROXIES: 'loopback' };
      service = await startService({ env, readyWithinMs: 120_000 });
      const port = await freePort();
      proxy = startProxy(program, folder, port, service.port);
      await waitFor(`${part} to listen`, async () => {
        if (!proxy.running()) throw new Error(proxy.output());
        return accepts(port);
      });
      const made = await signUp(new Client(`http://127.0.0.1:${port}`), newPerson());
      client = made.client;
      token = client.token!;
      direct = new Client(service.url, token);
    });

    afterAll(async () => {
      await proxy.stop();
      await service.dispose();
      rmSync(folder, { recursive: true, force: true });
    });

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
        headers: { ...headers, authorization: `Bearer ${token}`, 'content-length': String(4 * MIB) },
      });
      half.on('error', () => undefined);
      half.write(Buffer.alloc(2 * MIB));
      // The sender is silent now: only what the proxy handed on has reached the service.
      await waitFor('bytes at the service', async () => {
        const figures = await direct.get('/metrics');
        return figures.status === 200 && (await offsetOf(direct, path)) >= 0;
      });
      half.destroy();
      await waitFor(
        'the upload to be kept up to where it broke off',
        async () => (await offsetOf(direct, path)) > 0,
        60_000,
      );
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
});
