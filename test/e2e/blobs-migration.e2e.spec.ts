import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { describeWithPart, type S3Server, startS3 } from '../support/parts';
import { startProcess } from '../support/processes';
import { blobFiles } from '../support/raw-http';
import { type Service, startService } from '../support/service';
import { commandArgs } from '../support/tools';

interface Ran {
  readonly code: number | null;
  readonly said: string;
}

describeWithPart('moto', 'The move of blobs from the file system to S3', () => {
  let s3: S3Server;
  let service: Service;
  let client: Client;
  const contents = new Map<string, Buffer>();

  beforeAll(async () => {
    s3 = await startS3();
  }, 60_000);
  afterAll(() => s3.stop());
  beforeEach(async () => {
    contents.clear();
    service = await startService({
      env: { ...s3.env(`b${randomBytes(8).toString('hex')}`), BLOB_STORE: 'filesystem' },
    });
    client = (await signUp(new Client(service.url))).client;
    for (let at = 0; at < 8; at += 1) await upload(`before-${at}`, 100_000 + at);
  }, 60_000);
  afterEach(() => service.dispose());

  const upload = async (name: string, size: number): Promise<void> => {
    const content = randomBytes(size);
    const { id } = expectStatus(await client.upload(name, content), 201) as { id: string };
    contents.set(id, content);
  };
  const blobs = async (args: readonly string[], env: Record<string, string> = {}): Promise<Ran> => {
    const tool = startProcess(process.execPath, commandArgs('blobs', ...args), {
      env: { ...service.env, ...env },
      cwd: service.dataDir,
    });
    return { code: await tool.exited, said: tool.output() };
  };
  const migrate = (env?: Record<string, string>): Promise<Ran> => blobs(['migrate', '--to', 's3'], env);
  const bucket = (): string => service.env['S3_BUCKET']!;
  const expectAllReadable = async (): Promise<void> => {
    for (const [id, content] of contents) {
      const answer = await client.get(`/files/${id}/content`);
      expect(answer.status).toBe(200);
      expect(answer.bytes.equals(content)).toBe(true);
    }
  };
  const expectMoved = async (): Promise<void> => {
    expect(await blobFiles(service.dataDir)).toEqual([]);
    expect(await s3.objects(bucket())).toHaveLength(contents.size);
    await expectAllReadable();
  };

  it('takes all of them while files are written and read, and loses no request', async () => {
    let done = false;
    const write = async (): Promise<void> => {
      for (let at = 0; !done; at += 1) await upload(`during-${at}`, 50_000);
    };
    const read = async (): Promise<void> => {
      while (!done) await expectAllReadable();
    };
    const working = [write(), read()];
    const { code, said } = await migrate().finally(() => (done = true));
    await Promise.all(working);
    expect(said).toMatch(/Moved \d+ blobs of \d+ bytes from filesystem to s3\. Set BLOB_STORE=s3 now\./);
    expect(code).toBe(0);
    await expectMoved();
    await upload('after', 1_000);
    await expectMoved();
  }, 120_000);

  it('leaves an installation that starts with the former value and with the new one, and with no other', async () => {
    expect((await migrate()).code).toBe(0);
    for (const value of ['s3', 'filesystem']) {
      await service.restart({ BLOB_STORE: value });
      await expectMoved();
    }
    await service.stop();
    const without = { S3_BUCKET: '', S3_ENDPOINT: '', BLOB_STORE: 'filesystem' };
    const { code, said } = await blobs(['migrate', '--to', 'filesystem'], without);
    expect(said).toContain('Blobs of this installation lie in s3: set S3_BUCKET too.');
    expect(code).toBe(1);
  }, 120_000);

  it.each(['blobs.move-begun', 'blobs.copied', 'blobs.copied:4', 'blobs.removed', 'blobs.removed:5'])(
    'goes on by the next run where a process was killed at %s',
    async (failpoint) => {
      expect((await migrate({ COFFER_FAILPOINT: failpoint })).code).toBeNull();
      await expectAllReadable();
      await upload('between', 10_000);
      await service.restart();
      await expectAllReadable();
      const { code, said } = await migrate();
      expect(said).toContain('from filesystem to s3');
      expect(code).toBe(0);
      await expectMoved();
    },
    120_000,
  );

  it('is refused, like a start, where the bucket belongs to another installation, and takes nothing from that', async () => {
    expect((await migrate()).code).toBe(0);
    const kept = await s3.objects(bucket());
    const other = await startService({ env: { ...s3.env(bucket()), BLOB_STORE: 'filesystem' } });
    const dataDir = await mkdtemp(join(tmpdir(), 'coffer-third-'));
    try {
      const refused = 'S3_BUCKET holds blobs of another installation';
      const moved = await blobs(['migrate', '--to', 's3'], other.env);
      expect([moved.code, moved.said]).toEqual([1, expect.stringContaining(refused)]);
      const third = startProcess(process.execPath, [join(__dirname, '../../dist/main.js')], {
        env: { ...other.env, BLOB_STORE: 's3', DATA_DIR: dataDir, PORT: '0' },
        cwd: dataDir,
      });
      expect([await third.exited, third.output()]).toEqual([1, expect.stringContaining(refused)]);
      expect(await s3.objects(bucket())).toEqual(kept);
      await expectAllReadable();
    } finally {
      await other.dispose();
      await rm(dataDir, { recursive: true, force: true });
    }
  }, 120_000);

  it('can be turned round', async () => {
    expect((await migrate({ COFFER_FAILPOINT: 'blobs.removed:3' })).code).toBeNull();
    const { code, said } = await blobs(['migrate', '--to', 'filesystem']);
    expect(said).toContain('from s3 to filesystem');
    expect(code).toBe(0);
    expect(await s3.objects(bucket())).toEqual([]);
    await expectAllReadable();
  }, 120_000);
});

describe('npm run blobs', () => {
  const run = async (...args: string[]): Promise<Ran> => {
    const tool = startProcess(process.execPath, commandArgs('blobs', ...args), {
      cwd: tmpdir(),
    });
    return { code: await tool.exited, said: tool.output() };
  };

  it('refuses wrong usage with exit code 2', async () => {
    const { code, said } = await run('migrate', '--to', 'ftp');
    expect(said).toContain('Usage: coffer-server blobs');
    expect(code).toBe(2);
  }, 60_000);
});
