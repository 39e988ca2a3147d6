import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { signUp } from '../support/accounts';
import { type BlobLocationName, describeOnBlobPlaces } from '../support/blob-places';
import { Client, expectStatus } from '../support/client';
import { sampleBytes } from '../support/messages';
import { waitFor } from '../support/processes';
import { type Service, startService } from '../support/service';

const MIB = 1024 * 1024;
/** What S3 adds are its parts; see PART_PLAN. */
const MOST_GROWTH = 96 * MIB;

jest.setTimeout(300_000);

describeOnBlobPlaces('memory, files and connections of a service with a heap of 256 MiB', (start) => {
  let place: BlobLocationName;
  let service: Service;
  let client: Client;

  beforeAll(async () => {
    place = await start();
    service = await startService({ env: { ...place.env, NODE_OPTIONS: '--max-old-space-size=256' } });
    client = (await signUp(new Client(service.url))).client;
  });
  afterAll(async () => {
    await service.dispose();
    await place.stop();
  });

  const resident = (): number => {
    const status = readFileSync(`/proc/${service.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  };

  /** Highest resident memory while `work` runs. */
  async function peakOf(work: () => Promise<void>): Promise<number> {
    let peak = 0;
    const timer = setInterval(() => (peak = Math.max(peak, resident())), 50);
    await work().finally(() => clearInterval(timer));
    return peak;
  }

  function* blocks(size: number): Generator<Buffer> {
    for (let sent = 0; sent < size; sent += MIB) yield sampleBytes(MIB);
  }

  it('stay bounded while a large file goes up and comes down, and the bytes are the same', async () => {
    const size = place.muchMiB * MIB;
    expectStatus(await client.uploadRaw('warm up', sampleBytes(8 * MIB)), 201);
    await client.get('/files/by-name/warm%20up/content');
    const before = resident();
    const expected = createHash('sha256');
    for (const block of blocks(size)) expected.update(block);
    const sha256 = expected.digest('hex');
    const peak = await peakOf(async () => {
      const file = expectStatus(await client.uploadRaw('large', Readable.from(blocks(size))), 201);
      expect(file).toMatchObject({ size, sha256 });
      const response = await client.open('GET', `/files/${String(file.id)}/content`);
      const hash = createHash('sha256');
      for await (const chunk of response.body) hash.update(chunk as Buffer);
      expect(hash.digest('hex')).toBe(sha256);
    });
    expect(peak).toBeLessThan(400 * MIB);
    expect(peak - before).toBeLessThan(MOST_GROWTH);
    await waitFor('the blob to be closed', () => place.held(service) === 0, 10_000);
  });

  it('are given back when a client stops reading in the middle', async () => {
    for (let n = 0; n < 10; n += 1) {
      const response = await client.open('GET', '/files/by-name/large/content');
      for await (const _ of response.body) break;
      response.body.destroy();
    }
    await waitFor('the blobs to be closed', () => place.held(service) === 0, 10_000);
  });
});
