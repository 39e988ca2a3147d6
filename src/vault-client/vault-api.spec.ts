import { readFileSync } from 'node:fs';
import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { VaultApi, VaultTransport } from './vault-api';

const TLS = join(__dirname, '../../test/support/tls');
const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const answering = (status: number, errors: readonly string[]): Server =>
  createHttp((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
  });

async function reasonAt(address: string): Promise<unknown> {
  const transport = new VaultTransport(undefined);
  const api = new VaultApi(address, undefined, transport);
  const call = { method: 'GET', path: 'auth/token/lookup-self', token: 'a secret token', timeoutMs: 20_000 } as const;
  const fault: unknown = await api.call(call).catch((error: unknown) => error);
  api.close();
  return (fault as { reason?: unknown }).reason;
}

describe('Why Vault does not serve is said in words', () => {
  it.each([
    [503, ['Vault is sealed'], 'it is sealed (status 503)'],
    [503, ['OpenBao is sealed'], 'it is sealed (status 503)'],
    [501, ['server is not yet initialized'], 'it is not initialized (status 501)'],
    [500, ['internal error with a secret'], 'status 500'],
  ])('status %i with %j', async (status, errors, said) => {
    expect(await reasonAt(`http://127.0.0.1:${await listen(answering(status, errors))}`)).toBe(said);
  });

  it('where nothing listens', async () => {
    const port = await listen(createHttp());
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(await reasonAt(`http://127.0.0.1:${port}`)).toBe('the connection is refused (ECONNREFUSED)');
  });

  it('where its name is not in DNS', async () => {
    expect(await reasonAt('http://vault.invalid:8200')).toMatch(
      /^its name is not found in DNS \((ENOTFOUND|EAI_AGAIN)\)$/,
    );
  });

  it('where nobody vouches for its certificate', async () => {
    const [key, cert] = ['key', 'cert'].map((part) => readFileSync(join(TLS, `server-${part}.pem`)));
    const port = await listen(createHttps({ key: key!, cert: cert! }));
    expect(await reasonAt(`https://127.0.0.1:${port}`)).toMatch(/^its certificate is not trusted \([A-Z_]+\)$/);
  });

  it('where no TLS is spoken', async () => {
    const port = await listen(answering(200, []));
    expect(await reasonAt(`https://127.0.0.1:${port}`)).toMatch(/^TLS does not come about \([A-Z_]+\)$/);
  });
});
