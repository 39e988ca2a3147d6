import { signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { installOnSmallDisk, type OnSmallDisk } from '../support/full-disk';
import { sampleBytes } from '../support/messages';
import { waitFor } from '../support/processes';
import { blobFiles, rawConnection } from '../support/raw-http';
import { describeWithSmallDisk } from '../support/small-disk';
import { type Service, startService } from '../support/service';

const MIB = 1024 * 1024;
const CONTENT = sampleBytes(3 * MIB);
/** The sweeper comes every 20 seconds. */
const SWEEP = 60_000;

interface Installed {
  readonly service: Service;
  readonly client: Client;
}

async function install(env: Record<string, string> = {}): Promise<Installed> {
  const service = await startService({ env: { COFFER_SCHEDULE_SPEED: '20', ...env } });
  const { client } = await signUp(new Client(service.url));
  return { service, client };
}

const names = async (client: Client): Promise<string[]> => {
  const page = expectStatus(await client.get('/files'), 200) as { items: { name: string }[] };
  return page.items.map(({ name }) => name);
};

jest.setTimeout(120_000);

describe('a service that is killed while it takes a file in', () => {
  let installed: Installed;

  beforeAll(async () => {
    installed = await install();
    expectStatus(await installed.client.upload('before', CONTENT), 201);
  });
  afterAll(() => installed.service.dispose());

  const killAt = async (point: string, act: (client: Client) => Promise<unknown>): Promise<void> => {
    const { service, client } = installed;
    await service.arm(point);
    await expect(act(client)).rejects.toThrow();
    await service.ended();
    await service.restart();
  };

  it.each(['file.pending', 'file.blob-stored', 'file.counted'])('at %s has no file of it', async (point) => {
    await killAt(point, (client) => client.upload('killed', CONTENT));
    expect(await names(installed.client)).toEqual(['before']);
    expectProblem(await installed.client.get('/files/by-name/killed'), 404, 'file_not_found');
  });

  it('in the middle of the bytes has no file of it', async () => {
    const { service, client } = installed;
    const before = new Set(await blobFiles(service.dataDir));
    const connection = await rawConnection(service.url);
    const request = [
      'POST /files?name=half HTTP/1.1',
      'Host: a',
      `Authorization: Bearer ${client.token ?? ''}`,
      'Content-Type: application/octet-stream',
      `Content-Length: ${CONTENT.length}`,
    ];
    await connection.write(`${request.join('\r\n')}\r\n\r\n`);
    await connection.write(CONTENT.subarray(0, 2 * MIB));
    await waitFor('a part of the blob', async () =>
      (await blobFiles(service.dataDir)).some((file) => !before.has(file)),
    );
    await service.kill();
    await service.restart();
    expect(await names(client)).toEqual(['before']);
  });

  it('after it became visible has it, whole', async () => {
    await killAt('file.active', (client) => client.upload('unanswered', CONTENT));
    expect(await names(installed.client)).toEqual(['before', 'unanswered']);
    const content = await installed.client.get('/files/by-name/unanswered/content');
    expect(content.bytes.equals(CONTENT)).toBe(true);
  });

  it('has nothing left of all that within a minute, nor of a file that expired', async () => {
    const { service, client } = installed;
    expectStatus(await client.upload('short', 'x', { fields: { expires_in: '1' } }), 201);
    await waitFor('the expiry', async () => (await client.get('/files/by-name/short')).status === 404, 10_000);
    await waitFor('the sweep', async () => (await blobFiles(service.dataDir)).length === 2, SWEEP);
    for (const name of ['killed', 'half', 'short']) expectStatus(await client.upload(name, 'again'), 201);
  });

  it('has lost nothing of what it had said yes to before', async () => {
    const content = await installed.client.get('/files/by-name/before/content');
    expect(content.bytes.equals(CONTENT)).toBe(true);
  });
});

describe('a service that is killed while it removes a file', () => {
  const points = ['file.deleting', 'file.released', 'file.blob-removed'] as const;
  const killed = new Map<string, Installed>();

  afterAll(() => Promise.all([...killed.values()].map(({ service }) => service.dispose())));

  // An installation each: the sweeper of a shared one would come by the same point before the
  // client does.
  it.each(points)('at %s has removed it', async (point) => {
    const installed = await install();
    await installed.service.arm(point);
    killed.set(point, installed);
    const { service, client } = installed;
    const { id } = expectStatus(await client.upload('removed', CONTENT), 201);
    await expect(client.delete(`/files/${String(id)}`)).rejects.toThrow();
    await service.ended();
    await service.restart();
    expectProblem(await client.get(`/files/${String(id)}`), 404, 'file_not_found');
    expect(await names(client)).toEqual([]);
    expectStatus(await client.upload('removed', 'its name is free'), 201);
  });

  it('ends each removal within a minute', async () => {
    for (const { service } of killed.values()) {
      await waitFor('the sweep', async () => (await blobFiles(service.dataDir)).length === 1, SWEEP);
    }
  });
});

describeWithSmallDisk('a full disk under the blobs', () => {
  let installed: OnSmallDisk;

  beforeAll(async () => {
    installed = await installOnSmallDisk();
  });
  afterAll(() => installed.dispose());

  it('answers 507, leaves nothing of the upload, reads on, and takes files again when there is space', async () => {
    const { client, disk, blobs } = installed;
    expectStatus(await client.upload('before', CONTENT), 201);
    const before = await blobs();
    disk.fill();
    expectProblem(await client.upload('too much', CONTENT), 507, 'storage_full');
    expect(await names(client)).toEqual(['before']);
    expect((await client.get('/files/by-name/before/content')).bytes.equals(CONTENT)).toBe(true);
    expect(await blobs()).toEqual(before);
    disk.relieve();
    expectStatus(await client.upload('too much', CONTENT), 201);
    expect((await client.get('/files/by-name/too%20much/content')).bytes.equals(CONTENT)).toBe(true);
    expect((await client.get('/livez')).status).toBe(200);
  });
});
