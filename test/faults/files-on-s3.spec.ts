import { Readable } from 'node:stream';
import { S3BlobStore } from '../../src/blobs/s3';
import { newId } from '../../src/kernel';
import { signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { type FaultProxy, type Refusal, startFaultProxy } from '../support/fault-proxy';
import { type FilesRig, openFilesRig } from '../support/files-rig';
import { sampleBytes } from '../support/messages';
import { describeWithExtra, describeWithPart, type S3Server, startS3, startVersitygw } from '../support/parts';
import { waitFor } from '../support/processes';
import { type RawConnection, rawConnection } from '../support/raw-http';
import { type Service, startService } from '../support/service';
import { useRealDeadlines } from '../support/settings';
import { describeWithSmallDisk, type SmallDisk, smallDisk } from '../support/small-disk';

useRealDeadlines();

const MIB = 1024 * 1024;
/** One request. */
const SMALL = sampleBytes(100_000);
/** Three parts. */
const LARGE = sampleBytes(12 * MIB);
/** How long the upload of a process that lives may be silent, and some. */
const DEAD_AFTER = 150_000;

/** What S3 servers say for an error. */
const refusal = (status: number, code: string, more: Partial<Refusal> = {}): Refusal => ({
  status,
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>No.</Message></Error>`,
  ...more,
});

const names = async (client: Client): Promise<string[]> => {
  const page = expectStatus(await client.get('/files'), 200) as { items: { name: string }[] };
  return page.items.map(({ name }) => name);
};

jest.setTimeout(120_000);

describeWithPart('moto', 'files on an S3 server that fails', () => {
  let server: S3Server;
  let proxy: FaultProxy;
  let service: Service;
  let client: Client;

  beforeAll(async () => {
    server = await startS3();
    proxy = await startFaultProxy(server.endpoint);
    service = await startService({ env: { ...server.env(), S3_ENDPOINT: proxy.address } });
    client = (await signUp(new Client(service.url))).client;
    expectStatus(await client.upload('before', SMALL), 201);
  });
  afterEach(() => {
    proxy.mode = 'pass';
  });
  afterAll(async () => {
    await service.dispose();
    await proxy.close();
    await server.stop();
  });

  const nothingOfIt = async (): Promise<void> => {
    expect(await names(client)).toEqual(['before']);
    await waitFor('the blob to be gone', async () => (await server.objects()).length === 1);
    await waitFor('its parts to be gone', async () => (await server.unfinished()).length === 0);
  };

  const takesFilesAgain = async (): Promise<void> => {
    const { id } = expectStatus(await client.upload('again', LARGE), 201);
    expect((await client.get('/files/by-name/again/content')).bytes.equals(LARGE)).toBe(true);
    expect((await client.delete(`/files/${String(id)}`)).status).toBe(204);
  };

  const readsOn = async (): Promise<void> =>
    expect((await client.get('/files/by-name/before/content')).bytes.equals(SMALL)).toBe(true);

  describe.each([
    ['one request', SMALL],
    ['several parts', LARGE],
  ])('with an upload of %s', (_, content) => {
    it.each([
      [507, 'XMinioStorageFull'],
      [507, 'InsufficientStorage'],
      [403, 'QuotaExceeded'],
    ])('answers 507 where the server is full (%i %s), and takes files when it is not', async (status, code) => {
      proxy.mode = refusal(status, code, { only: /^PUT/ });
      expectProblem(await client.upload('too much', content), 507, 'storage_full');
      await readsOn();
      proxy.mode = 'pass';
      await nothingOfIt();
      await takesFilesAgain();
    });

    it.each([
      [503, 'SlowDown'],
      [500, 'InternalError'],
    ])('answers 503 where the server goes on refusing (%i %s)', async (status, code) => {
      proxy.mode = refusal(status, code, { only: /^PUT/ });
      expectProblem(await client.upload('refused', content), 503, 'store_unavailable');
      await readsOn();
      proxy.mode = 'pass';
      await nothingOfIt();
    });

    it('repeats a request that was told to slow down once', async () => {
      proxy.mode = refusal(503, 'SlowDown', { only: /^PUT/, times: 1 });
      const { id } = expectStatus(await client.upload('slowed', content), 201);
      expect((await client.get('/files/by-name/slowed/content')).bytes.equals(content)).toBe(true);
      expect((await client.delete(`/files/${String(id)}`)).status).toBe(204);
    });
  });

  it('answers 503 where parts cannot be put together, and leaves none of them', async () => {
    proxy.mode = refusal(500, 'InternalError', { only: /^POST .*uploadId=/ });
    expectProblem(await client.upload('in parts', LARGE), 503, 'store_unavailable');
    proxy.mode = 'pass';
    await nothingOfIt();
  });

  /** An upload whose first part is on the server, and whose client goes on sending. */
  async function underWay(): Promise<RawConnection> {
    const before = (await server.unfinished()).length;
    const connection = await rawConnection(service.url);
    const request = [
      'POST /files?name=half HTTP/1.1',
      'Host: coffer',
      `Authorization: Bearer ${client.token ?? ''}`,
      'Content-Type: application/octet-stream',
      `Content-Length: ${2 * LARGE.length}`,
    ];
    await connection.write(`${request.join('\r\n')}\r\n\r\n`);
    await connection.write(LARGE);
    await waitFor('a part to be sent', async () => (await server.unfinished()).length > before);
    return connection;
  }

  describe.each<[string, { begin(): void; end(): void }]>([
    ['dies', { begin: () => proxy.cutAll(), end: () => undefined }],
    ['hangs', { begin: () => server.pause(), end: () => server.resume() }],
  ])('and %s in the middle of an upload', (_, fault) => {
    it('answers 503 meanwhile and goes on without a restart', async () => {
      const connection = await underWay();
      fault.begin();
      try {
        void connection.write(LARGE);
        expect(await connection.status()).toBe(503);
        expectProblem(await client.upload('meanwhile', SMALL), 503, 'store_unavailable');
        expect(await names(client)).toEqual(['before']);
        expectProblem(await client.get('/files/by-name/before/content'), 503, 'store_unavailable');
      } finally {
        connection.socket.destroy();
        fault.end();
        proxy.mode = 'pass';
      }
      await waitFor('downloads', async () => (await client.get('/files/by-name/before/content')).status === 200);
      await readsOn();
      await takesFilesAgain();
      expect(await names(client)).toEqual(['before']);
    });
  });
});

describeWithPart('moto', 'an upload whose S3 server went away in the middle', () => {
  let server: S3Server;
  let proxy: FaultProxy;
  let rig: FilesRig;

  beforeAll(async () => {
    server = await startS3();
    proxy = await startFaultProxy(server.endpoint);
    const store = new S3BlobStore({ ...server.address(), endpoint: proxy.address }, { createBucket: true });
    await store.open(newId());
    rig = await openFilesRig({ blobs: () => store });
  });
  afterAll(async () => {
    await rig.close();
    await proxy.close();
    await server.stop();
  });

  it.each<[string, { begin(): void; end(): void }]>([
    ['died', { begin: () => proxy.cutAll(), end: () => (proxy.mode = 'pass') }],
    ['hung', { begin: () => server.pause(), end: () => server.resume() }],
  ])('and %s leaves neither a file nor a multipart upload after the sweep', async (_, fault) => {
    const owner = await rig.newOwner();
    const content = async function* (): AsyncGenerator<Buffer> {
      yield LARGE;
      await waitFor('a part to be sent', async () => (await server.unfinished()).length === 1);
      fault.begin();
      yield LARGE;
      yield LARGE;
    };
    const upload = rig.upload(owner, 'half', content());
    await expect(upload.finally(() => fault.end())).rejects.toMatchObject({ code: 'store_unavailable' });
    // Begins the watch; where the server is dead its other parts may fail.
    await rig.sweeper.sweep().catch(() => undefined);
    rig.clock.forward(DEAD_AFTER);
    await waitFor('a sweep that finds the server', () =>
      rig.sweeper.sweep().then(
        () => true,
        () => false,
      ),
    );
    expect([await rig.allRows(), await server.objects(), await server.unfinished()]).toEqual([[], [], []]);
  });
});

describeWithExtra('versitygw', 'files on an S3 server over a folder', () => {
  describe('to which bodies come damaged', () => {
    let server: S3Server;
    let proxy: FaultProxy;
    let store: S3BlobStore;

    beforeAll(async () => {
      server = await startVersitygw();
      proxy = await startFaultProxy(server.endpoint);
      store = new S3BlobStore({ ...server.address(), endpoint: proxy.address }, { createBucket: true });
      await store.open(newId());
    });
    afterAll(async () => {
      await proxy.close();
      await server.stop();
    });

    it.each([
      ['one request', SMALL],
      ['several parts', LARGE],
    ])('has no blob of %s', async (_, content) => {
      proxy.mode = 'damage';
      const put = store.put('damaged', Readable.from([content]));
      await expect(put.finally(() => (proxy.mode = 'pass'))).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await server.objects()).toEqual([]);
      await store.sweep(0);
      expect(await server.unfinished()).toEqual([]);
    });
  });

  describeWithSmallDisk('whose disk is full', () => {
    let disk: SmallDisk;
    let server: S3Server;
    let service: Service;
    let client: Client;

    beforeAll(async () => {
      disk = smallDisk(32);
      server = await startVersitygw(disk.path);
      service = await startService({ env: server.env() });
      client = (await signUp(new Client(service.url))).client;
    });
    afterAll(async () => {
      await service.dispose();
      await server.stop();
      disk.remove();
    });

    it('answers 507, leaves nothing of it, reads on, and takes files again when there is space', async () => {
      expectStatus(await client.upload('before', SMALL), 201);
      disk.fill();
      expectProblem(await client.upload('too much', LARGE), 507, 'storage_full');
      expect(await names(client)).toEqual(['before']);
      expect((await client.get('/files/by-name/before/content')).bytes.equals(SMALL)).toBe(true);
      disk.relieve();
      expectStatus(await client.upload('too much', LARGE), 201);
      expect((await client.get('/files/by-name/too%20much/content')).bytes.equals(LARGE)).toBe(true);
      await waitFor('the parts to be gone', async () => (await server.unfinished()).length === 0);
      expect(await server.objects()).toHaveLength(2);
    });
  });
});
