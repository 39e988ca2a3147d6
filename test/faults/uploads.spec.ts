import { diedAt } from '../support/died-at';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { installOnSmallDisk, type OnSmallDisk } from '../support/full-disk';
import { noncesOf } from '../support/message-keys';
import { sampleBytes } from '../support/messages';
import { waitFor } from '../support/processes';
import { blobFiles } from '../support/raw-http';
import { describeWithSmallDisk } from '../support/small-disk';
import { type Service, startService } from '../support/service';
import { createUpload, newUpload, offsetOf, patchUpload, rawPatch } from '../support/tus';

const MIB = 1024 * 1024;
const CONTENT = sampleBytes(2 * MIB);
const HALF = MIB;
/** The sweeper comes every 20 seconds. */
const SWEEP = 60_000;

jest.setTimeout(180_000);

describe('a service that is killed while a resumable upload ends', () => {
  let service: Service;
  let client: Client;
  let files = 0;

  beforeAll(async () => {
    service = await startService();
    client = (await signUp(new Client(service.url))).client;
  });
  afterAll(() => service.dispose());

  /** Sends the second half, and dies at the point. */
  const dieAt = async (point: string): Promise<string> => {
    const path = await newUpload(client, point, CONTENT.length);
    expect((await patchUpload(client, path, 0, CONTENT.subarray(0, HALF))).status).toBe(204);
    await service.arm(point);
    await expect(patchUpload(client, path, HALF, CONTENT.subarray(HALF))).rejects.toThrow();
    await service.ended();
    await service.restart();
    return path;
  };

  const expectWhole = async (id: string | undefined): Promise<void> => {
    files += 1;
    const content = await client.get(`/files/${id ?? ''}/content`);
    expect(content.bytes.equals(CONTENT)).toBe(true);
  };

  it.each(['upload.attempt-begun', 'upload.segment-stored'])('at %s has not counted that piece', async (point) => {
    const path = await dieAt(point);
    expect(await offsetOf(client, path)).toBe(HALF);
    const answer = await patchUpload(client, path, HALF, CONTENT.subarray(HALF));
    expect(answer.status).toBe(204);
    await expectWhole(answer.headers['file-id']);
  });

  it.each(['upload.segment-counted', 'assembly.begun', 'assembly.stored', 'assembly.active', 'assembly.done'])(
    'at %s has the file for who asks again',
    async (point) => {
      const path = await dieAt(point);
      expect([CONTENT.length - 1, CONTENT.length]).toContain(await offsetOf(client, path));
      const answer = await patchUpload(client, path, CONTENT.length - 1, CONTENT.subarray(-1));
      expect(answer.status).toBe(204);
      await expectWhole(answer.headers['file-id']);
      expect(await offsetOf(client, path)).toBe(CONTENT.length);
    },
  );

  it('at assembly.cleared has the file, whether or not it could still say so', async () => {
    const path = await newUpload(client, 'cleared', CONTENT.length);
    expect((await patchUpload(client, path, 0, CONTENT.subarray(0, HALF))).status).toBe(204);
    await service.arm('assembly.cleared');
    await patchUpload(client, path, HALF, CONTENT.subarray(HALF)).catch(() => undefined);
    await service.ended();
    await service.restart();
    const answer = await patchUpload(client, path, CONTENT.length - 1, CONTENT.subarray(-1));
    expect(answer.status).toBe(204);
    await expectWhole(answer.headers['file-id']);
  });

  it('before the one message became the file has the file without anybody asking', async () => {
    const path = await newUpload(client, 'in one piece', CONTENT.length);
    await service.arm('upload.segment-counted');
    await expect(patchUpload(client, path, 0, CONTENT)).rejects.toThrow();
    await service.ended();
    await service.restart();
    const made = async (): Promise<boolean> => (await client.get('/files/by-name/in%20one%20piece')).status === 200;
    await waitFor('the sweep', made, SWEEP);
    const { id } = expectStatus(await client.get('/files/by-name/in%20one%20piece'), 200) as { id: string };
    await expectWhole(id);
  });

  it('has nothing left of all that but the files', async () => {
    await waitFor('the sweep', async () => (await blobFiles(service.dataDir)).length === files, SWEEP);
  });
});

describe('a service that is killed while a resumable upload begins or is given up', () => {
  let service: Service;
  let client: Client;

  beforeAll(async () => {
    service = await startService({ env: { COFFER_SCHEDULE_SPEED: '20' } });
    client = (await signUp(new Client(service.url))).client;
  });
  afterAll(() => service.dispose());

  it.each(['upload.row-stored', 'upload.reserved'])('at %s takes the same upload once more', async (point) => {
    await diedAt(service, point, () => newUpload(client, point, CONTENT.length));
    const path = await newUpload(client, point, CONTENT.length);
    expect((await patchUpload(client, path, 0, CONTENT)).status).toBe(204);
  });

  it.each(['upload.ended', 'upload.file-removed', 'upload.segments-removed'])(
    'at %s has no such upload any more, and nothing of it after a while',
    async (point) => {
      const before = (await blobFiles(service.dataDir)).length;
      const path = await newUpload(client, point, CONTENT.length);
      expect((await patchUpload(client, path, 0, CONTENT.subarray(0, HALF))).status).toBe(204);
      await diedAt(service, point, () => client.delete(path, { headers: { 'tus-resumable': '1.0.0' } }));
      const head = await client.head(path, { headers: { 'tus-resumable': '1.0.0' } });
      expect([404, 410]).toContain(head.status);
      await waitFor('the sweep', async () => (await blobFiles(service.dataDir)).length === before, SWEEP);
    },
  );
});

describe('what lies on a disk of an upload that was resumed with other bytes', () => {
  let service: Service;
  let client: Client;
  let kept: string;

  beforeAll(async () => {
    kept = await mkdtemp(join(tmpdir(), 'coffer-kept-'));
    const preload = join(__dirname, '../support/keep-removed.cjs');
    service = await startService({ env: { NODE_OPTIONS: `--require=${preload}`, COFFER_TEST_KEPT: kept } });
    client = (await signUp(new Client(service.url))).client;
  });
  afterAll(async () => {
    await service.dispose();
    await rm(kept, { recursive: true, force: true });
  });

  const filled = (byte: number): Buffer => Buffer.alloc(CONTENT.length, byte);
  const partial = async (): Promise<string[]> =>
    (await blobFiles(service.dataDir)).filter((f) => f.includes('/partial/'));

  async function everythingWritten(): Promise<Buffer[]> {
    const old = (await readdir(kept)).map((name) => join(kept, name));
    const files = await Promise.all([...(await blobFiles(service.dataDir)), ...old].map((path) => readFile(path)));
    // Not the draft of the mark that says whose folder it is: that holds an id and no ciphertext.
    return files.filter((bytes) => !/^[0-9a-f-]{36}\s*$/.test(bytes.toString('latin1')));
  }

  it('never has two frames under one data key and nonce, after a 460, a cut, and a kill', async () => {
    const path = await newUpload(client, 'resumed', CONTENT.length);
    const wrong = { headers: { 'upload-checksum': 'sha256 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' } };
    expect((await patchUpload(client, path, 0, filled(1), wrong)).status).toBe(460);

    const cut = await rawPatch(service.url, client, path, CONTENT.length);
    await cut.write(CONTENT.subarray(0, 300_000));
    await waitFor('the cut attempt', async () => (await partial()).length > 0);
    cut.socket.destroy();
    const offset = await waitFor('what came to count', async () => (await offsetOf(client, path)) || undefined);

    const killed = await rawPatch(service.url, client, path, CONTENT.length - offset, offset);
    await killed.write(filled(2).subarray(0, CONTENT.length - offset - 1));
    const written = async (): Promise<boolean> => {
      const sizes = await Promise.all((await partial()).map(async (file) => (await readFile(file)).length));
      return sizes.some((size) => size > MIB);
    };
    await waitFor('the attempt to be on disk', written);
    await service.kill();
    await service.restart();
    expect(await offsetOf(client, path)).toBe(offset);

    const last = await patchUpload(client, path, offset, CONTENT.subarray(offset));
    expect(last.status).toBe(204);
    const id = last.headers['file-id'] ?? '';
    expect((await client.get(`/files/${id}/content`)).bytes.equals(CONTENT)).toBe(true);

    const { key } = expectStatus(await client.get(`/files/${id}/key`), 200) as { key: string };
    const found = (await everythingWritten()).flatMap((bytes) => noncesOf(bytes, Buffer.from(key, 'hex')) ?? []);
    const messages = [...new Map(found.map((message) => [message.messageId, message])).values()];
    // The one that failed its checksum, the cut one, the killed one, the last one, and the file.
    expect(messages).toHaveLength(5);
    expect(new Set(messages.map(({ dataKey }) => dataKey)).size).toBe(5);
    expect(new Set(messages.map(({ context }) => context)).size).toBe(5);
    const pairs = messages.flatMap(({ dataKey, nonces }) => nonces.map((nonce) => `${dataKey}/${nonce}`));
    expect(pairs.length).toBeGreaterThan(60);
    expect(new Set(pairs).size).toBe(pairs.length);
  });
});

describe('a whole piece that a kill left uncounted', () => {
  it('cannot be put in the place of the file that came of other bytes', async () => {
    const service = await startService();
    await service.arm('upload.segment-stored');
    try {
      const { client } = await signUp(new Client(service.url));
      const path = await newUpload(client, 'swapped', CONTENT.length);
      await expect(patchUpload(client, path, 0, Buffer.alloc(CONTENT.length, 1))).rejects.toThrow();
      await service.ended();
      const [uncounted = ''] = await blobFiles(service.dataDir);
      const stray = await readFile(uncounted);
      await service.restart();
      const answer = await patchUpload(client, path, 0, CONTENT);
      expect(answer.status).toBe(204);
      const content = `/files/${answer.headers['file-id'] ?? ''}/content`;
      expect((await client.get(content)).bytes.equals(CONTENT)).toBe(true);
      const file = await waitFor('the segments to be removed', async () => {
        const [only, ...others] = await blobFiles(service.dataDir);
        return others.length === 0 ? only : undefined;
      });
      expect((await readFile(file)).length).toBe(stray.length);
      await writeFile(file, stray);
      expect((await client.get(content)).status).toBe(422);
    } finally {
      await service.dispose();
    }
  });
});

describeWithSmallDisk('a full disk under a resumable upload', () => {
  let installed: OnSmallDisk;

  beforeAll(async () => {
    installed = await installOnSmallDisk();
  });
  afterAll(() => installed.dispose());

  it('answers 507, keeps what counted, and goes on when there is space', async () => {
    const { client, disk } = installed;
    const path = await newUpload(client, 'full', CONTENT.length);
    expect((await patchUpload(client, path, 0, CONTENT.subarray(0, HALF))).status).toBe(204);
    disk.fill();
    expect((await patchUpload(client, path, HALF, CONTENT.subarray(HALF))).status).toBe(507);
    expect(await offsetOf(client, path)).toBe(HALF);
    expect((await createUpload(client, 'with a body', HALF, { body: CONTENT.subarray(0, HALF) })).status).toBe(507);
    disk.relieve();
    const last = await patchUpload(client, path, HALF, CONTENT.subarray(HALF));
    expect(last.status).toBe(204);
    const content = await client.get(`/files/${last.headers['file-id'] ?? ''}/content`);
    expect(content.bytes.equals(CONTENT)).toBe(true);
  });
});
