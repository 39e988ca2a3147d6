import { signUp } from '../support/accounts';
import { type Answer, Client, expectProblem, expectStatus } from '../support/client';
import { installOnSmallDisk, type OnSmallDisk } from '../support/full-disk';
import { sampleBytes } from '../support/messages';
import { isLong } from '../support/parts';
import { waitFor } from '../support/processes';
import { blobFiles } from '../support/raw-http';
import { type Service, startService } from '../support/service';
import { describeWithSmallDisk } from '../support/small-disk';

const MIB = 1024 * 1024;
const FIRST = sampleBytes(2 * MIB);
const SECOND = sampleBytes(MIB);
const QUOTA = 64 * MIB;
/** The sweeper comes every 20 seconds, here every second. */
const SWEEP = 60_000;

interface Installed {
  readonly service: Service;
  readonly client: Client;
}

async function install(env: Record<string, string> = {}): Promise<Installed> {
  const service = await startService({
    env: { TRASH_DAYS: '30', USER_QUOTA: String(QUOTA), COFFER_SCHEDULE_SPEED: '20', ...env },
  });
  const { client } = await signUp(new Client(service.url));
  return { service, client };
}

const put = (client: Client, id: string, body: Buffer): Promise<Answer> => {
  const headers = { 'content-type': 'application/octet-stream', 'if-match': '*' };
  return client.send('PUT', `/files/${id}/content`, { body, headers });
};

const uploaded = async (client: Client, name: string): Promise<string> =>
  String(expectStatus(await client.upload(name, FIRST), 201).id);

const contentOf = async (client: Client, id: string, query = ''): Promise<Buffer> =>
  (await client.get(`/files/${id}/content${query}`)).bytes;

const versionsOf = async (client: Client, id: string): Promise<number> =>
  (expectStatus(await client.get(`/files/${id}/versions`), 200).items as unknown[]).length;

jest.setTimeout(120_000);

describe('a service that is killed while a file changes', () => {
  let installed: Installed;
  /** Bytes and blobs of what there has to be in the end. */
  const kept = { bytes: 0, blobs: 0 };

  beforeAll(async () => {
    installed = await install();
  });
  afterAll(() => installed.service.dispose());

  async function killAt(point: string, act: (client: Client) => Promise<unknown>): Promise<void> {
    const { service, client } = installed;
    await service.arm(point);
    await expect(act(client)).rejects.toThrow();
    await service.ended();
    await service.restart();
  }

  function keeps(bytes: number, blobs: number): void {
    kept.bytes += bytes;
    kept.blobs += blobs;
  }

  it.each(['file.incoming', 'file.incoming-stored', 'file.incoming-counted'])(
    'at %s of a new version has the old one and no other',
    async (point) => {
      const { client } = installed;
      const id = await uploaded(client, `put ${point}`);
      keeps(FIRST.length, 1);
      await killAt(point, () => put(client, id, SECOND));
      expect((await contentOf(client, id)).equals(FIRST)).toBe(true);
      expect(await versionsOf(client, id)).toBe(1);
    },
  );

  it('at file.swapped of a new version has both', async () => {
    const { client } = installed;
    const id = await uploaded(client, 'put swapped');
    keeps(FIRST.length + SECOND.length, 2);
    await killAt('file.swapped', () => put(client, id, SECOND));
    expect((await contentOf(client, id)).equals(SECOND)).toBe(true);
    expect((await contentOf(client, id, '?version=1')).equals(FIRST)).toBe(true);
  });

  it.each([
    'file.incoming',
    'file.rekey-stored',
    'file.swapped:2',
    ...(isLong() ? ['file.rekey-stored:2', 'file.swapped'] : []),
  ])('at %s of a rekey has all versions, and a second rekey ends it', async (point) => {
    const { client } = installed;
    const id = await uploaded(client, `rekey ${point}`);
    expectStatus(await put(client, id, SECOND), 200);
    keeps(FIRST.length + SECOND.length, 2);
    await killAt(point, () => client.post(`/files/${id}/rekey`));
    expect(expectStatus(await client.post(`/files/${id}/verify`), 200)).toMatchObject({
      ok: true,
      checked_bytes: FIRST.length + SECOND.length,
    });
    if (point === 'file.rekey-stored') expectStatus(await client.post(`/files/${id}/rekey`), 200);
    expect((await contentOf(client, id)).equals(SECOND)).toBe(true);
  });

  it('at file.trashed has the file in the trash, at file.restored has it back', async () => {
    const { client } = installed;
    const id = await uploaded(client, 'trashed');
    keeps(FIRST.length, 1);
    await killAt('file.trashed', () => client.delete(`/files/${id}`));
    expectProblem(await client.get(`/files/${id}`), 404, 'file_not_found');
    await killAt('file.restored', () => client.post(`/files/${id}/restore`));
    expect((await contentOf(client, id)).equals(FIRST)).toBe(true);
  });

  it('has nothing else left of all that within a minute, on the disk and in the quota', async () => {
    const { service, client } = installed;
    const blobs = async (): Promise<boolean> => (await blobFiles(service.dataDir)).length === kept.blobs;
    await waitFor('the sweep', blobs, SWEEP);
    const left = QUOTA - kept.bytes;
    const fits = async (): Promise<boolean> => (await client.upload('the rest', sampleBytes(left))).status === 201;
    await waitFor('the shares of the quota', fits, SWEEP);
    expectProblem(await client.upload('more', 'x'), 507, 'quota_exceeded');
  });
});

describe('a service that is killed while it clears a content away', () => {
  const points = ['file.content-dropped', 'file.content-released', 'file.content-removed'];
  const killed = new Map<string, { readonly installed: Installed; readonly id: string }>();

  afterAll(() => Promise.all([...killed.values()].map(({ installed }) => installed.service.dispose())));

  // An installation each: the sweeper of a shared one would come by the same point before the
  // client does.
  it.each(points)('at %s has what there is whole', async (point) => {
    const installed = await install();
    await installed.service.arm(point);
    const { service, client } = installed;
    const id = await uploaded(client, 'a');
    killed.set(point, { installed, id });
    expectStatus(await put(client, id, SECOND), 200);
    await expect(client.delete(`/files/${id}/versions/1`)).rejects.toThrow();
    await service.ended();
    await service.restart();
    expect(await versionsOf(client, id)).toBe(1);
    expectProblem(await client.get(`/files/${id}/content?version=1`), 404, 'file_not_found');
    expect((await contentOf(client, id)).equals(SECOND)).toBe(true);
  });

  it('has cleared it away within a minute, and given its share back once', async () => {
    for (const { installed } of killed.values()) {
      const { service, client } = installed;
      await waitFor('the sweep', async () => (await blobFiles(service.dataDir)).length === 1, SWEEP);
      const rest = sampleBytes(QUOTA - SECOND.length);
      await waitFor('the share', async () => (await client.upload('the rest', rest)).status === 201, SWEEP);
      expectProblem(await client.upload('more', 'x'), 507, 'quota_exceeded');
    }
  });
});

describeWithSmallDisk('a full disk under the blobs of files that change', () => {
  let installed: OnSmallDisk;

  beforeAll(async () => {
    installed = await installOnSmallDisk();
  });
  afterAll(() => installed.dispose());

  it('answers 507 to a new version and to a rekey, and keeps what there was', async () => {
    const { client, disk, blobs } = installed;
    const id = await uploaded(client, 'before');
    const before = await blobs();
    disk.fill();
    expectProblem(await put(client, id, SECOND), 507, 'storage_full');
    expectProblem(await client.post(`/files/${id}/rekey`), 507, 'storage_full');
    expect((await contentOf(client, id)).equals(FIRST)).toBe(true);
    expect(await versionsOf(client, id)).toBe(1);
    expect(await blobs()).toEqual(before);
    disk.relieve();
    expectStatus(await put(client, id, SECOND), 200);
    expectStatus(await client.post(`/files/${id}/rekey`), 200);
    expect(expectStatus(await client.post(`/files/${id}/verify`), 200)).toMatchObject({ ok: true });
  });
});

describe('many files that expire at the same time', () => {
  const most = isLong() ? 5_000 : 500;
  const lifetime = (isLong() ? 300 : 20) * 1_000;
  let installed: Installed;

  beforeAll(async () => {
    installed = await install();
  });
  afterAll(() => installed.service.dispose());

  it(`are gone at once for readers, and within a minute from the disk, while requests go on (${most} at most)`, async () => {
    const { service, client } = installed;
    const end = Date.now() + lifetime;
    const stays = await uploaded(client, 'stays');
    let count = 0;
    // A slow machine gets fewer of them written before their time.
    for (; count < most && Date.now() < end - lifetime / 4; count += 20) {
      const upload = async (n: number): Promise<void> => {
        const expires_in = Math.ceil((end - Date.now()) / 1000);
        expectStatus(await client.uploadRaw(`file ${n}`, 'x', { expires_in }), 201);
      };
      await Promise.all(Array.from({ length: 20 }, (_, n) => upload(count + n)));
    }
    // The last ones may have a second more than the first.
    await waitFor('their end', () => Date.now() > end + 1_000, lifetime);
    await service.restart();
    expectProblem(await client.get('/files/by-name/file%200'), 404, 'file_not_found');
    expect(expectStatus(await client.get('/files?limit=200'), 200).items.length).toBeLessThanOrEqual(1);
    const swept = Date.now();
    // The long form says how long it took: a machine that does other things besides is not to fail
    // it.
    const patience = isLong() ? 5 * SWEEP : SWEEP;
    const ends = waitFor('the sweep', async () => (await blobFiles(service.dataDir)).length <= 2, patience);
    let sweeping = true;
    void ends.finally(() => (sweeping = false)).catch(() => undefined);
    let asked = 0;
    while (sweeping) {
      expect((await contentOf(client, stays)).equals(FIRST)).toBe(true);
      expectStatus(await put(client, stays, SECOND), 200);
      expect((await client.delete(`/files/${stays}/versions/${asked + 1}`)).status).toBe(204);
      expectStatus(await put(client, stays, FIRST), 200);
      expect((await client.delete(`/files/${stays}/versions/${asked + 2}`)).status).toBe(204);
      asked += 2;
    }
    await ends;
    if (isLong())
      console.log(`${count} files were gone ${Date.now() - swept} ms after the start, ${asked} changes beside`);
    expect(asked).toBeGreaterThan(0);
  }, 600_000);
});
