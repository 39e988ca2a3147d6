import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FilesystemBlobStore } from '../../src/blobs/filesystem';
import { signUp } from '../support/accounts';
import { Client } from '../support/client';
import { describeWithForgetfulDisk, type ForgetfulDisk, forgetfulDisk } from '../support/forgetful-disk';
import { KillLedger, killSample } from '../support/kill-ledger';
import { KillWriter } from '../support/kill-writers';
import { isLong } from '../support/parts';
import { Seeded } from '../support/seeded';
import { type Service, startService } from '../support/service';

const ROUNDS = isLong() ? 40 : 4;
const LARGEST = 1024 * 1024;
const WRITERS = 4;

jest.setTimeout(isLong() ? 1_200_000 : 180_000);

async function fsync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  await handle.sync();
  await handle.close();
}

describeWithForgetfulDisk('A disk that forgets what was not fsynced', () => {
  let disk: ForgetfulDisk;
  const at = (...names: string[]): string => join(disk.path, ...names);

  beforeEach(async () => (disk = await forgetfulDisk()));
  afterEach(() => disk.remove());

  it('keeps no name that its folder did not sync, whatever the file did', async () => {
    await writeFile(at('a'), 'content', { flush: true });
    expect(await readFile(at('a'), 'utf8')).toBe('content');
    await disk.forget();
    expect(await readdir(disk.path)).toEqual([]);
  });

  it('keeps no byte that its file did not sync, whatever the folder did', async () => {
    await writeFile(at('a'), 'content');
    await fsync(disk.path);
    await disk.forget();
    expect(await readFile(at('a'), 'utf8')).toBe('');
  });

  it('keeps both where both were synced, and undoes a rename that was not', async () => {
    await mkdir(at('folder'));
    await writeFile(at('a'), 'content', { flush: true });
    await fsync(disk.path);
    await rename(at('a'), at('folder', 'b'));
    await disk.forget();
    expect(await readFile(at('a'), 'utf8')).toBe('content');
    expect(await readdir(at('folder'))).toEqual([]);
  });

  it('has every blob whose put had resolved, whole', async () => {
    const blobs = new FilesystemBlobStore(disk.path);
    const puts = Array.from({ length: 40 }, async (_, n) => {
      const id = `${n % 7}${n}-blob`;
      await blobs.put(id, parts(n));
      return id;
    });
    const ids = await Promise.all(puts);
    await disk.forget();
    const after = new FilesystemBlobStore(disk.path);
    for (const [n, id] of ids.entries()) expect(await after.size(id)).toBe(1000 * n);
  });

  it('has a put that died before it had resolved whole or not at all', async () => {
    const blobs = new FilesystemBlobStore(disk.path);
    await blobs.open('an installation');
    for (let round = 0; round < ROUNDS; round += 1) {
      const puts = Array.from({ length: 8 }, (_, n) => blobs.put(`r${round}-${n}`, parts(200)).catch(() => undefined));
      await sleep(round * 7);
      await disk.forget();
      const found = await new FilesystemBlobStore(disk.path).size(`r${round}-0`);
      expect([undefined, 200_000]).toContain(found);
      await Promise.all(puts);
    }
  });
});

function* sized(count: number): Generator<Buffer> {
  for (let n = 0; n < count; n += 1) yield Buffer.alloc(1000, n);
}
// eslint-disable-next-line @typescript-eslint/require-await -- a put takes what comes asynchronously
async function* parts(count: number): AsyncGenerator<Buffer> {
  yield* sized(count);
}

describeWithForgetfulDisk('a service that is killed, and whose disk of blobs forgets what was not fsynced', () => {
  const random = new Seeded();
  const sample = killSample(2 * LARGEST);
  const ledger = new KillLedger(sample);
  let disk: ForgetfulDisk;
  let service: Service;
  let client: Client;
  let writers: KillWriter[];

  beforeAll(async () => {
    disk = await forgetfulDisk();
    const dataDir = await mkdtemp(join(tmpdir(), 'coffer-unsynced-'));
    await symlink(disk.path, join(dataDir, 'blobs'));
    service = await startService({ dataDir, env: { JWT_TTL_SECONDS: '86400' } });
    client = (await signUp(new Client(service.url))).client;
    const traffic = { client, ledger, sample, largest: LARGEST };
    writers = Array.from({ length: WRITERS }, (_, n) => new KillWriter(traffic, `w${n}`, random.below(2 ** 31)));
  });
  afterAll(async () => {
    await service.dispose();
    await disk.remove();
    await rm(service.dataDir, { recursive: true, force: true });
  });

  it(`has every file that it had said yes to, whole (${ROUNDS} rounds)`, async () => {
    for (let round = 1; round <= ROUNDS; round += 1) {
      let killed = false;
      const writing = writers.map((writer) => writer.run(() => killed));
      await sleep(200 + random.below(1000));
      killed = true;
      await service.kill();
      await Promise.all(writing);
      await disk.forget();
      await service.restart();
      await ledger.check(client, true);
      if (ledger.faults.length > 0) throw new Error(`seed ${random.seed}, round ${round}: ${ledger.faults.join('; ')}`);
    }
    // How many acts end before a kill depends on the speed of the machine.
    expect(ledger.acknowledged).toBeGreaterThan(ROUNDS);
    if (isLong())
      console.log(`seed ${random.seed}: ${ledger.acknowledged} acts acknowledged, ${ledger.doubts} in doubt`);
  });
});
