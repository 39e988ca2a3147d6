import { Logger } from '@nestjs/common';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FilesRig, openFilesRig } from '../../../../test/support/files-rig';
import { sampleBytes } from '../../../../test/support/messages';
import { waitFor } from '../../../../test/support/processes';
import { BlobStore, ByteRange } from '../../../blobs';
import { Config } from '../../../config';
import { JobRunner } from '../../../jobs';
import { LeasedScheduler } from '../../../jobs/leased-scheduler';
import { DAY, DomainError, Person } from '../../../kernel';
import { Metrics } from '../../../observability';
import { FileView } from '../../model/file';
import { ActiveFile } from '../../model/file.collection';
import { FileScrubber } from './file-scrubber';
import { ScrubJob } from './scrub.job';
import { Scrub, ScrubSchedule, Scrubs } from './scrub.service';
const CONFIG = { scrub: { bytesPerSecond: 2 ** 40, days: 30 } } as unknown as Config;
const SIZES = [0, 1, 65_536, 200_000];

let rig: FilesRig;
let owner: Person;
let files: FileView[];
let runners: JobRunner[];
/** Bytes that were asked of the blob store, and what stands in its way. */
let asked: number;
let obstacle: (id: string) => Promise<void>;

class WatchedBlobs extends BlobStore {
  constructor(private readonly real: BlobStore) {
    super();
  }
  put = (id: string, source: AsyncIterable<Uint8Array>) => this.real.put(id, source);
  size = (id: string) => this.real.size(id);
  remove = (id: string) => this.real.remove(id);
  list: BlobStore['list'] = (options) => this.real.list(options);
  ping = () => this.real.ping();
  open = (installationId: string) => this.real.open(installationId);
  discard = (id: string) => this.real.discard(id);
  sweep = (ageMs: number) => this.real.sweep(ageMs);

  async get(id: string, range?: ByteRange, chunkBytes?: number) {
    await obstacle(id);
    asked += 1;
    return this.real.get(id, range, chunkBytes);
  }
}

interface Fixture {
  readonly jobs: JobRunner;
  readonly scrubs: Scrubs;
  readonly metrics: Metrics;
}

/** What one process has of the scrub. */
function fixture(config = CONFIG): Fixture {
  const jobs = new JobRunner(rig.store, rig.clock);
  const metrics = new Metrics();
  const scrubber = new FileScrubber(rig.store, rig.contents, rig.clock);
  new ScrubJob(jobs, scrubber, rig.audit, rig.clock, config, metrics).onModuleInit();
  runners.push(jobs);
  return { jobs, scrubs: new Scrubs(jobs), metrics };
}

const ended = ({ scrubs }: Fixture, id: string): Promise<Scrub> =>
  waitFor('the scrub to end', async () => {
    const scrub = await scrubs.find(id);
    return scrub.state === 'done' || scrub.state === 'failed' ? scrub : undefined;
  });

const scrubbed = async (one: Fixture): Promise<Scrub> => ended(one, (await one.scrubs.start('admin')).id);

const blobOf = async (file: FileView): Promise<string> => {
  const row = (await rig.rows.find('_id', file.id))!;
  return join(rig.blobFolder, row.blob_id.slice(0, 2), row.blob_id);
};

async function flip(file: FileView, at: number): Promise<void> {
  const path = await blobOf(file);
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(path, bytes);
}

beforeEach(async () => {
  asked = 0;
  runners = [];
  obstacle = () => Promise.resolve();
  rig = await openFilesRig({ blobs: (real) => new WatchedBlobs(real) });
  owner = await rig.newOwner();
  files = [];
  for (const size of SIZES) files.push(await rig.upload(owner, `file-${size}`, sampleBytes(size)));
});
afterEach(async () => {
  for (const jobs of runners) await jobs.beforeApplicationShutdown();
  await rig.close();
});

describe('a scrub of sound files', () => {
  it('reads each of them through and ends', async () => {
    const bytes = SIZES.reduce((sum, size) => sum + size, 0);
    const progress = { total: SIZES.length, done: SIZES.length, failed: 0 };
    expect(await scrubbed(fixture())).toMatchObject({ state: 'done', progress, bytes, failures: [] });
  });

  it('counts what it read', async () => {
    const one = fixture();
    await scrubbed(one);
    const text = await one.metrics.registry.metrics();
    expect(text).toMatch(/coffer_scrub_files_total 4\n/);
    expect(text).toMatch(/coffer_scrub_failed_total 0\n/);
    expect(text).toMatch(/coffer_scrub_bytes_total 265537\n/);
    expect(text).toMatch(/coffer_scrub_last_finished_timestamp_seconds [1-9]/);
  });

  it('passes over what expired, and over uploads under way', async () => {
    await rig.rows.replace({ ...(await rig.rows.find('_id', files[0]!.id))!, expires_at: 1 });
    await rig.rows.replace({ ...(await rig.rows.find('_id', files[1]!.id))!, state: 'pending' });
    expect((await scrubbed(fixture())).progress).toMatchObject({ done: 2, failed: 0 });
  });

  it('reads former versions and what is in the trash', async () => {
    const [first, second, third] = files.map((file) => rig.rows.find('_id', file.id));
    const { blob_id, file_key, meta, size, encrypted_size } = (await third)!;
    await rig.rows.replace({ ...(await first)!, state: 'trashed', purge_at: Date.now() + DAY });
    const other = { blob_id: 'gone', file_key, meta, size, encrypted_size, version: 7, modified_at: 1 } as const;
    const former = { ...other, state: 'former', client_encrypted: false } as const;
    await rig.rows.replace({ ...(await second)!, others: [former as never] });
    expect(blob_id).toBeDefined();
    const scrub = await scrubbed(fixture());
    expect(scrub.progress).toMatchObject({ done: 3, failed: 1 });
    expect(scrub.failures).toEqual([{ file_id: files[1]!.id, version: 7, code: 'decryption_failed' }]);
  });
});

describe('a damaged file', () => {
  it.each<[string, (file: FileView) => Promise<void>, string]>([
    ['with a flipped bit in its header', (file) => flip(file, 40), 'decryption_failed'],
    ['with a flipped bit in its last frame', async (file) => flip(file, file.encrypted_size - 20), 'decryption_failed'],
    ['that is cut', async (file) => truncate(await blobOf(file), 1000), 'decryption_failed'],
    ['that is gone', async (file) => rm(await blobOf(file)), 'decryption_failed'],
  ])('%s is reported by its id, and the others are read', async (_what, damage, code) => {
    const damaged = files[3]!;
    await damage(damaged);
    const one = fixture();
    const errors = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const scrub = await scrubbed(one);
    const lines = errors.mock.calls.map(([line]) => line as unknown);
    errors.mockRestore();
    expect(lines).toContainEqual(expect.objectContaining({ resource: `file/${damaged.id}`, version: 1 }));
    expect(lines.at(-1)).toMatchObject({ scrub: scrub.id, damaged: 1 });
    expect(scrub).toMatchObject({ state: 'done', progress: { total: 4, done: 3, failed: 1 } });
    expect(scrub.failures).toEqual([{ file_id: damaged.id, version: 1, code }]);
    expect(JSON.stringify(await one.jobs.find(scrub.id))).not.toContain(damaged.name);
    const entries = (await rig.auditEntries()).filter(({ action }) => action === 'file.damaged');
    expect(entries).toEqual([
      expect.objectContaining({ resource: `file/${damaged.id}`, details: { scrub: scrub.id, version: 1, code } }),
    ]);
  });

  it('is found wherever the bit is', async () => {
    const small = files[1]!;
    const row = (await rig.rows.find('_id', small.id)) as ActiveFile;
    for (let at = 0; at < small.encrypted_size; at += 1) {
      await flip(small, at);
      await expect(rig.contents.readThrough(row)).rejects.toMatchObject({ code: 'decryption_failed' });
      await flip(small, at);
    }
    expect(await rig.contents.readThrough(row)).toBe(1);
  });

  it('whose blob is that of another file is reported', async () => {
    const [one, other] = [await blobOf(files[2]!), await blobOf(files[3]!)];
    const [bytes, others] = [await readFile(one), await readFile(other)];
    await writeFile(one, others);
    await writeFile(other, bytes);
    expect((await scrubbed(fixture())).failures.map(({ file_id }) => file_id)).toEqual([files[2]!.id, files[3]!.id]);
  });

  it('whose row fails MAC verification is reported', async () => {
    const raw = rig.engine.collection({
      ...rig.rows.definition,
      fields: { ...rig.rows.definition.fields, seal: 'string' },
    } as never);
    const row = (await raw.find('_id', files[1]!.id)) as never as Record<string, unknown>;
    await raw.replace({ ...row, created_at: 5 } as never);
    const scrub = await scrubbed(fixture());
    expect(scrub.failures).toEqual([{ file_id: files[1]!.id, version: 0, code: 'integrity_failed' }]);
  });

  it('on a sector that cannot be read does not keep the scrub from the others', async () => {
    const blob = (await rig.rows.find('_id', files[2]!.id))!.blob_id;
    const unreadable = Object.assign(new Error('i/o error'), { code: 'EIO' });
    obstacle = (id) => (id === blob ? Promise.reject(unreadable) : Promise.resolve());
    const scrub = await scrubbed(fixture());
    expect(scrub).toMatchObject({ state: 'done', progress: { done: 3, failed: 1 } });
    expect(scrub.failures).toEqual([{ file_id: files[2]!.id, version: 1, code: 'store_unavailable' }]);
  });

  it('is one of a hundred that are named, and all are counted', async () => {
    for (let n = 0; n < 105; n += 1) files.push(await rig.upload(owner, `more-${n}`, 'x'));
    for (const file of files.slice(4)) await rm(await blobOf(file));
    const scrub = await scrubbed(fixture());
    expect([scrub.progress.failed, scrub.failures.length]).toEqual([105, 100]);
  }, 60_000);
});

describe('a scrub in the course of other things', () => {
  it('takes a file that is removed while it is read for gone, not for damaged', async () => {
    const row = (await rig.rows.find('_id', files[2]!.id))!;
    obstacle = async (id) => {
      if (id !== row.blob_id) return;
      obstacle = () => Promise.resolve();
      await rig.deletion.remove(owner, row._id);
    };
    expect((await scrubbed(fixture())).progress).toMatchObject({ done: 3, failed: 0 });
  });

  it('waits while keys cannot be had, and then goes on without reading twice what it has noted', async () => {
    const one = fixture();
    let refusals = 0;
    const blob = (await rig.rows.find('_id', files[1]!.id))!.blob_id;
    obstacle = (id) => {
      if (id !== blob || refusals === 2) return Promise.resolve();
      refusals += 1;
      return Promise.reject(new DomainError('kms_unavailable'));
    };
    const { id } = await one.scrubs.start('admin');
    await waitFor('the first refusal', () => refusals > 0);
    expect((await one.scrubs.find(id)).state).toBe('running');
    expect(await ended(one, id)).toMatchObject({ state: 'done', progress: { total: 4, done: 4, failed: 0 } });
    // A file of up to four frames comes in one read.
    expect([refusals, asked]).toEqual([2, SIZES.length]);
  }, 30_000);

  it('stops when it is paused, and goes on when it is resumed', async () => {
    const one = fixture();
    let reached = (): void => undefined;
    let go = (): void => undefined;
    const there = new Promise<void>((resolve) => (reached = resolve));
    const gate = new Promise<void>((resolve) => (go = resolve));
    obstacle = () => (reached(), gate);
    const { id } = await one.scrubs.start('admin');
    await there;
    expect((await one.scrubs.pause(id)).state).toBe('paused');
    await expect(one.scrubs.start('admin')).rejects.toMatchObject({ code: 'conflict', extensions: { scrub_id: id } });
    go();
    expect((await one.scrubs.resume(id)).state).toBe('running');
    await waitFor('the scrub to be free', async () => {
      await one.jobs.poll();
      return (await one.scrubs.find(id)).state === 'done';
    });
    await expect(one.scrubs.pause(id)).rejects.toMatchObject({ code: 'conflict' });
    expect((await one.scrubs.find(id)).progress).toEqual({ total: 4, done: 4, failed: 0 });
  }, 30_000);

  it('is one over two processes', async () => {
    const [one, other] = [fixture(), fixture()];
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    obstacle = () => gate;
    const outcomes = await Promise.allSettled([one.scrubs.start('a'), other.scrubs.start('b')]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    go();
    const { items } = await one.scrubs.list({ limit: 10 });
    expect(items).toHaveLength(1);
    expect(await ended(other, items[0]!.id)).toMatchObject({ state: 'done', progress: { done: 4, failed: 0 } });
  });
});

describe('SCRUB_DAYS', () => {
  const schedule = (one: Fixture): ScrubSchedule =>
    new ScrubSchedule(rig.store, CONFIG, new LeasedScheduler(rig.store, rig.clock), one.scrubs, rig.clock, rig.audit);

  it('begins a scrub when the oldest file is that old, and the next one as long after', async () => {
    const one = fixture();
    const scrubs = async (): Promise<number> => {
      await schedule(one).startIfDue();
      const { items } = await one.scrubs.list({ limit: 10 });
      for (const { id } of items) await ended(one, id);
      return items.length;
    };
    expect(await scrubs()).toBe(0);
    rig.clock.forward(30 * DAY);
    expect(await scrubs()).toBe(1);
    expect(await scrubs()).toBe(1);
    rig.clock.forward(30 * DAY);
    expect(await scrubs()).toBe(2);
  });
});
