import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { isLong } from '../support/parts';
import { sampleBytes } from '../support/messages';
import { waitFor } from '../support/processes';
import { blobFiles, rawConnection } from '../support/raw-http';
import { describeWithSmallDisk, type SmallDisk, smallDisk } from '../support/small-disk';
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
  const service = await startService({ env });
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
    await service.restart({ COFFER_FAILPOINT: point });
    await expect(act(client)).rejects.toThrow();
    await service.ended();
    await service.restart({ COFFER_FAILPOINT: undefined });
  };

  it.each(['file.pending', 'file.blob-stored', 'file.counted'])('at %s has no file of it', async (point) => {
    await killAt(point, (client) => client.upload('killed', CONTENT));
    expect(await names(installed.client)).toEqual(['before']);
    expectProblem(await installed.client.get('/files/by-name/killed'), 404, 'file_not_found');
  });

  it('in the middle of the bytes has no file of it', async () => {
    const { service, client } = installed;
    const blobs = (await blobFiles(service.dataDir)).length;
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
    await waitFor('a part of the blob', async () => (await blobFiles(service.dataDir)).length > blobs);
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

  // An installation each: the sweeper of a shared one would come by the same point before the client does.
  it.each(points)('at %s has removed it', async (point) => {
    const installed = await install({ COFFER_FAILPOINT: point });
    killed.set(point, installed);
    const { service, client } = installed;
    const { id } = expectStatus(await client.upload('removed', CONTENT), 201);
    await expect(client.delete(`/files/${String(id)}`)).rejects.toThrow();
    await service.ended();
    await service.restart({ COFFER_FAILPOINT: undefined });
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
  let disk: SmallDisk;
  let service: Service;
  let client: Client;

  beforeAll(async () => {
    disk = smallDisk(16);
    const dataDir = await mkdtemp(join(tmpdir(), 'coffer-full-'));
    await symlink(disk.path, join(dataDir, 'blobs'));
    service = await startService({ dataDir });
    client = (await signUp(new Client(service.url))).client;
  });
  afterAll(async () => {
    await service.dispose();
    disk.remove();
    await rm(service.dataDir, { recursive: true, force: true });
  });

  it('answers 507, leaves nothing of the upload, reads on, and takes files again when there is space', async () => {
    expectStatus(await client.upload('before', CONTENT), 201);
    disk.fill();
    expectProblem(await client.upload('too much', CONTENT), 507, 'storage_full');
    expect(await names(client)).toEqual(['before']);
    expect((await client.get('/files/by-name/before/content')).bytes.equals(CONTENT)).toBe(true);
    disk.relieve();
    expectStatus(await client.upload('too much', CONTENT), 201);
    expect((await client.get('/files/by-name/too%20much/content')).bytes.equals(CONTENT)).toBe(true);
    expect((await client.get('/livez')).status).toBe(200);
  });
});

describe('memory and descriptors', () => {
  const size = (isLong() ? 2048 : 512) * MIB;
  let installed: Installed;

  beforeAll(async () => {
    installed = await install({ NODE_OPTIONS: '--max-old-space-size=256' });
  });
  afterAll(() => installed.service.dispose());

  const resident = (): number => {
    const status = readFileSync(`/proc/${installed.service.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  };

  const openBlobs = (): number => {
    const folder = `/proc/${installed.service.pid}/fd`;
    return readdirSync(folder).filter((fd) => {
      try {
        return readlinkSync(`${folder}/${fd}`).includes('/blobs/');
      } catch {
        return false;
      }
    }).length;
  };

  /** Highest resident memory while `work` runs. */
  async function peakOf(work: () => Promise<void>): Promise<number> {
    let peak = 0;
    const timer = setInterval(() => (peak = Math.max(peak, resident())), 50);
    await work().finally(() => clearInterval(timer));
    return peak;
  }

  function* blocks(): Generator<Buffer> {
    for (let sent = 0; sent < size; sent += MIB) yield sampleBytes(MIB);
  }

  const digest = (): string => {
    const hash = createHash('sha256');
    for (const block of blocks()) hash.update(block);
    return hash.digest('hex');
  };

  it(`stay bounded while ${size / MIB} MiB go up and come down, and the bytes are the same`, async () => {
    const { client } = installed;
    expectStatus(await client.uploadRaw('warm up', sampleBytes(8 * MIB)), 201);
    await client.get('/files/by-name/warm%20up/content');
    const before = resident();
    const expected = digest();
    const peak = await peakOf(async () => {
      const file = expectStatus(await client.uploadRaw('large', Readable.from(blocks())), 201);
      expect(file).toMatchObject({ size, sha256: expected });
      const response = await client.open('GET', `/files/${String(file.id)}/content`);
      const hash = createHash('sha256');
      for await (const chunk of response.body) hash.update(chunk as Buffer);
      expect(hash.digest('hex')).toBe(expected);
    });
    expect(peak).toBeLessThan(400 * MIB);
    expect(peak - before).toBeLessThan(96 * MIB);
    expect(openBlobs()).toBe(0);
  }, 300_000);

  it('are given back when a client stops reading in the middle', async () => {
    const { client } = installed;
    for (let n = 0; n < 10; n += 1) {
      const response = await client.open('GET', '/files/by-name/large/content');
      for await (const _ of response.body) break;
      response.body.destroy();
    }
    await waitFor('the blobs to be closed', () => openBlobs() === 0, 10_000);
  });
});
