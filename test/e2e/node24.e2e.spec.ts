import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newPerson, signUp } from '../support/accounts';
import { buildOnce } from '../support/build';
import { Client, expectStatus } from '../support/client';
import { describeWithLongPart } from '../support/parts';
import { freePort, type Managed, startProcess, waitFor } from '../support/processes';
import { projectRoot } from '../support/root';

jest.setTimeout(300_000);

/** The runtime that the image ships. The long form of the test command runs all suites on it. */
describeWithLongPart('node24', 'On Node 24', (node) => {
  let dataDir: string;
  let service: Managed;
  let client: Client;

  async function start(): Promise<void> {
    const port = await freePort();
    const env = { DATA_DIR: dataDir, HOST: '127.0.0.1', PORT: String(port), RATE_LIMITS: 'off', LOG_LEVEL: 'warn' };
    service = startProcess(node, [join(projectRoot(), 'dist/cli/coffer-server.js')], { env, cwd: dataDir });
    client = new Client(`http://127.0.0.1:${port}`);
    await waitFor(
      'the service to be ready',
      async () => {
        if (!service.running()) throw new Error(service.output());
        return (await client.get('/readyz').catch(() => undefined))?.status === 200;
      },
      120_000,
    );
  }

  beforeAll(async () => {
    await buildOnce();
    dataDir = await mkdtemp(join(tmpdir(), 'coffer-node24-'));
    await start();
  });

  afterAll(async () => {
    await service.kill();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('the service says so in its metrics', async () => {
    expect((await client.get('/metrics')).text).toMatch(/coffer_build_info\{version="[^"]+",node="24\.[\d.]+"\} 1/);
  });

  it('an account, a record, a file, a new master key and a second start work', async () => {
    const { client: alice, person } = await signUp(client, newPerson('alice'));
    const card = { data_type: 'card_number', value: '4929123456781234' };
    const record = expectStatus(await alice.post('/sensitive-data', card), 200) as { id: string };
    const bytes = Buffer.alloc(200_000, 'coffer');
    const headers = { 'content-type': 'application/octet-stream' };
    const sent = await alice.post('/files', undefined, { query: { name: 'a.bin' }, body: bytes, headers });
    const file = expectStatus(sent, 201) as { id: string };
    const rotated = await alice.post('/rotate-master-key');
    expect(expectStatus(rotated, 200)).toMatchObject({ rotation: { state: 'done', target_version: 2 } });
    expect(await service.stop('SIGTERM', 60_000)).toBe(0);
    await start();
    const { username, password } = person;
    const tokens = expectStatus(await client.post('/login', { username, password }), 200) as { access_token: string };
    const again = client.as(tokens.access_token);
    expect((await again.get(`/sensitive-data/${record.id}`)).json).toEqual({ id: record.id, ...card });
    expect((await again.get(`/files/${file.id}/content`)).bytes.equals(bytes)).toBe(true);
  });
});
