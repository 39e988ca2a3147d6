import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { KillLedger, killSample, MARKER } from '../support/kill-ledger';
import { KillWriter } from '../support/kill-writers';
import { isLong } from '../support/parts';
import { startProcess, waitFor } from '../support/processes';
import { blobFiles } from '../support/raw-http';
import { projectRoot } from '../support/root';
import { Seeded } from '../support/seeded';
import { type Service, startService } from '../support/service';

const MIB = 1024 * 1024;
const ROUNDS = isLong() ? 200 : 5;
const LARGEST = isLong() ? 64 * MIB : 4 * MIB;
const QUOTA = isLong() ? 2048 * MIB : 256 * MIB;
const WRITERS = 8;
/**
 * Bytes: more than the values of all records, and than what kills leave counted until the next
 * recount.
 */
const RECORDS = 256 * 1024;
/** Looked at as a whole so often; what a round wrote is looked at after that round. */
const CHECK_EACH = isLong() ? 25 : 5;
/** The sweeper comes every 20 seconds. */
const SWEEP = 60_000;

const VERIFY_CHAIN = `
  const { withService } = require('./dist/cli/app.js');
  const { verifyChain } = require('./dist/audit');
  const { Store } = require('./dist/store');
  withService((app) => verifyChain(app.get(Store))).then((report) => console.log('faults', report.faults.length));
`;

jest.setTimeout(isLong() ? 7_200_000 : 300_000);

describe('a service that is killed at random moments while eight clients write', () => {
  const random = new Seeded();
  const sample = killSample(2 * LARGEST);
  const ledger = new KillLedger(sample);
  let service: Service;
  let client: Client;
  let writers: KillWriter[];
  let slowestStart = 0;

  beforeAll(async () => {
    service = await startService({ env: { USER_QUOTA: String(QUOTA), JWT_TTL_SECONDS: '86400' } });
    client = (await signUp(new Client(service.url))).client;
    const traffic = { client, ledger, sample, largest: LARGEST };
    writers = Array.from({ length: WRITERS }, (_, n) => new KillWriter(traffic, `w${n}`, random.below(2 ** 31)));
  });
  afterAll(() => service.dispose());

  async function killWhileTheyWrite(): Promise<void> {
    let killed = false;
    const writing = writers.map((writer) => writer.run(() => killed));
    await sleep(50 + random.below(1450));
    killed = true;
    await service.kill();
    await Promise.all(writing);
    const begun = Date.now();
    await service.restart();
    slowestStart = Math.max(slowestStart, Date.now() - begun);
  }

  const files = async (): Promise<{ id: string; name: string }[]> => {
    const items: { id: string; name: string }[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const query = { limit: 200, ...(cursor === '' ? {} : { cursor }) };
      const page = expectStatus(await client.get('/files', { query }), 200) as {
        items: typeof items;
        next_cursor: string | null;
      };
      items.push(...page.items);
      cursor = page.next_cursor;
    }
    return items;
  };

  const sizes = async (): Promise<number[]> => {
    const versions = (await files()).map(async ({ id }) => {
      const { items } = expectStatus(await client.get(`/files/${id}/versions`), 200) as { items: { size: number }[] };
      return items.map(({ size }) => size);
    });
    return (await Promise.all(versions)).flat();
  };

  /**
   * All that is there is what the ledger says, and nothing else is: no name, no byte of the quota,
   * no blob, no partial file.
   */
  async function checkAll(): Promise<void> {
    await ledger.check(client, true);
    expect(ledger.faults).toEqual([]);
    expect((await files()).map(({ name }) => name).sort()).toEqual(ledger.names());
    const kept = await sizes();
    const swept = async (): Promise<boolean> => (await blobFiles(service.dataDir)).length === kept.length;
    await waitFor(`the sweep to leave ${kept.length} blobs`, swept, SWEEP);
    expect(await readdir(join(service.dataDir, 'blobs/partial'))).toEqual([]);
    await checkQuota(QUOTA - kept.reduce((sum, size) => sum + size, 0));
  }

  async function checkQuota(left: number): Promise<void> {
    const stream = (size: number): Readable => Readable.from(blocks(size));
    expectProblem(await client.uploadRaw('more', stream(left + 1)), 507, 'quota_exceeded');
    const rest = await client.uploadRaw('the rest', stream(left - RECORDS));
    const { id } = expectStatus(rest, 201) as { id: string };
    expectProblem(await client.uploadRaw('more', stream(RECORDS + 1)), 507, 'quota_exceeded');
    expect((await client.delete(`/files/${id}`)).status).toBe(204);
  }

  function* blocks(size: number): Generator<Buffer> {
    for (let left = size; left > 0; left -= MIB) yield sample.subarray(0, Math.min(MIB, left));
  }

  it(`loses nothing that it said yes to, and leaves nothing else (${ROUNDS} rounds)`, async () => {
    for (let round = 1; round <= ROUNDS; round += 1) {
      try {
        await killWhileTheyWrite();
        await (round % CHECK_EACH === 0 ? checkAll() : ledger.check(client));
        expect(ledger.faults).toEqual([]);
      } catch (error) {
        throw new Error(`seed ${random.seed}, round ${round}`, { cause: error });
      }
    }
    // How many acts end before a kill depends on the speed of the machine.
    expect(ledger.acknowledged).toBeGreaterThan(ROUNDS);
    if (isLong()) {
      const { acknowledged, doubts } = ledger;
      console.log(
        `seed ${random.seed}: ${acknowledged} acts acknowledged, ${doubts} in doubt, ${slowestStart} ms to ready`,
      );
    }
  });

  it('has written nothing of it in clear', async () => {
    const entries = await readdir(service.dataDir, { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths) {
      if ((await readFile(path)).includes(MARKER)) throw new Error(`${path} holds plaintext`);
    }
    expect(service.logs()).not.toContain(MARKER);
  });

  it('has an audit log whose chain holds', async () => {
    await service.stop();
    const verifier = startProcess(process.execPath, ['-e', VERIFY_CHAIN], { env: service.env, cwd: projectRoot() });
    await verifier.exited;
    expect(verifier.output()).toContain('faults 0');
  });
});
