import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { sampleBytes } from '../support/messages';
import { waitFor } from '../support/processes';
import { blobFiles } from '../support/raw-http';
import { type Service, startService } from '../support/service';

jest.setTimeout(120_000);

interface ScrubAnswer {
  readonly id: string;
  readonly state: string;
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly bytes: number;
  readonly failures: readonly { file_id: string; version: number; code: string }[];
}

const FILES = 6;
let dataDir: string;
let service: Service;
let admin: Client;
const ids: string[] = [];

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'coffer-scrub-'));
  service = await startService({ dataDir, env: { SCRUB_BYTES_PER_SECOND: '1 GiB' } });
  admin = (await signUp(new Client(service.url))).client;
  for (let n = 0; n < FILES; n += 1) {
    ids.push(String(expectStatus(await admin.upload(`file-${n}`, sampleBytes(100_000 + n)), 201).id));
  }
});
afterAll(async () => {
  await service.dispose();
  await rm(dataDir, { recursive: true, force: true });
});

const get = async (id: string): Promise<ScrubAnswer> =>
  expectStatus(await admin.get(`/scrubs/${id}`), 200) as ScrubAnswer;
const done = (id: string): Promise<ScrubAnswer> =>
  waitFor(
    'the scrub to end',
    async () => {
      const scrub = await get(id);
      return scrub.state === 'done' ? scrub : undefined;
    },
    60_000,
  );
const start = async (): Promise<ScrubAnswer> => expectStatus(await admin.post('/scrubs'), 200) as never;

describe('POST /scrubs', () => {
  it('begins a scrub that ends with what it found', async () => {
    const begun = await start();
    expect(begun).toMatchObject({ state: 'running', failures: [] });
    const scrub = await done(begun.id);
    expect(scrub).toMatchObject({ total: FILES, done: FILES, failed: 0, bytes: 600_015, failures: [] });
    const page = expectStatus(await admin.get('/scrubs'), 200);
    expect(page).toEqual({ items: [scrub], next_cursor: null });
  });

  it('is for administrators, and knows scrubs only', async () => {
    const { client } = await signUp(new Client(service.url));
    for (const path of ['/scrubs', `/scrubs/${ids[0]}`])
      expectProblem(await client.get(path), 403, 'permission_denied');
    expectProblem(await client.post('/scrubs'), 403, 'permission_denied');
    expectProblem(await admin.get(`/scrubs/${ids[0]}`), 404, 'not_found');
    expectProblem(await admin.post(`/scrubs/${ids[0]}/pause`), 404, 'not_found');
  });
});

describe('a service that is killed in the middle of a scrub', () => {
  it('goes on with it when it is back, each file counted once, and names the damaged one', async () => {
    const blob = (await blobFiles(dataDir))[0]!;
    const bytes = await readFile(blob);
    bytes.writeUInt8(bytes.readUInt8(5_000) ^ 4, 5_000);
    await writeFile(blob, bytes);
    await service.arm('scrub.file:3');
    // It may be answered before it dies, or not.
    await admin.post('/scrubs').catch(() => undefined);
    await service.ended();
    await service.restart();
    const page = expectStatus(await admin.get('/scrubs'), 200) as unknown as { items: ScrubAnswer[] };
    const [newest] = page.items;
    const scrub = await done(newest!.id);
    expect(scrub).toMatchObject({ total: FILES, done: FILES - 1, failed: 1 });
    expect(scrub.failures).toEqual([{ file_id: expect.any(String) as string, version: 1, code: 'decryption_failed' }]);
    expect(ids).toContain(scrub.failures[0]!.file_id);
    const metrics = await admin.get('/metrics');
    expect(metrics.text).toContain('coffer_scrub_failed_total 1');
  });
});
