import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../../src/kernel';
import { type Collection } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { thingDefinition, type ThingDoc } from '../contract/collection/things';
import { startActor } from '../support/actors';
import { isLong } from '../support/parts';
import { type Managed, waitFor } from '../support/processes';
import { useRealDeadlines } from '../support/settings';
import { describeWithSmallDisk, type SmallDisk, smallDisk } from '../support/small-disk';

useRealDeadlines();

const LONG_RUN = 240_000;

/** Whole lines only: a last one that a kill cut is no acknowledgement. */
const lines = (process: Managed, start: string): string[] =>
  process
    .output()
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith(start))
    .map((line) => line.slice(start.length).trim());

async function finish(...processes: Managed[]): Promise<void> {
  for (const process of processes) expect([await process.exited, process.output()]).toEqual([0, expect.any(String)]);
}

describe('the embedded store under several processes', () => {
  let folder: string;
  let store: EmbeddedStore;
  let things: Collection<ThingDoc>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-embedded-'));
    store = new EmbeddedStore(folder, new SystemClock());
    things = store.collection(thingDefinition('things'));
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  const start = (...command: string[]): Managed => startActor('store-user', 'embedded', folder, ...command);

  it('loses no increment of two processes that race for one document', async () => {
    await things.insert({ _id: 'counter', owner: 'all', size: 0 });
    const racers = [start('increment', 'counter', '150'), start('increment', 'counter', '150')];
    await finish(...racers);
    expect(await things.find('_id', 'counter')).toMatchObject({ size: 300, rev: 301 });
  });

  it('gives each unique key to one of two processes that race for all of them', async () => {
    const racers = [start('claim', 'key', '300'), start('claim', 'key', '300')];
    await finish(...racers);
    const got = racers.flatMap((racer) => lines(racer, 'got'));
    expect(got).toHaveLength(300);
    expect(new Set(got).size).toBe(300);
    expect(await things.count('_id', [])).toBe(300);
    expect(await things.count('byEmail', [])).toBe(300);
  });

  it(
    'has each acknowledged row in every index after kill -9 at any instant',
    async () => {
      for (let round = 0; round < (isLong() ? 25 : 3); round += 1) {
        const writer = start('write');
        await waitFor('the writer to write', () => lines(writer, 'ok').length > 20 + 7 * round);
        await writer.kill();
        for (const id of lines(writer, 'ok')) {
          expect(await things.find('_id', id)).toBeDefined();
          expect((await things.find('byEmail', `${id}@example.com`))?._id).toBe(id);
        }
        expect(await things.count('byEmail', [])).toBe(await things.count('_id', []));
        expect(await things.count('byOwner', [])).toBe(await things.count('_id', []));
      }
    },
    LONG_RUN,
  );

  it('answers store_unavailable while another process sits on the write lock, reads on, and writes again after it', async () => {
    await things.insert({ _id: 'before', owner: 'ada' });
    const holder = start('hold', '6000');
    await waitFor('the lock to be held', () => holder.output().includes('holding'));
    await expect(things.insert({ _id: 'meanwhile', owner: 'ada' })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await things.find('_id', 'before')).toBeDefined();
    expect(holder.running()).toBe(true);
    await finish(holder);
    expect(await things.insert({ _id: 'after', owner: 'ada' })).toMatchObject({ rev: 1 });
  });

  it.each(['exit', 'throw'])('does not hold up the end of its process: %s in the middle of writes', async (how) => {
    const leaving = start(how);
    await leaving.exited;
    expect(leaving.running()).toBe(false);
    if (how === 'throw') expect(leaving.output()).toContain('nobody catches this');
    expect(await things.insert({ _id: 'after', owner: 'ada' })).toMatchObject({ rev: 1 });
    expect(await things.count('byOwner', [])).toBe(await things.count('_id', []));
  });

  it('writes on after a process that was killed inside its write transaction', async () => {
    const holder = start('hold', '60000');
    await waitFor('the lock to be held', () => holder.output().includes('holding'));
    await holder.kill();
    expect(await things.insert({ _id: 'after', owner: 'ada' })).toMatchObject({ rev: 1 });
  });
});

describeWithSmallDisk('the embedded store on a full disk', () => {
  let disk: SmallDisk;
  beforeEach(() => (disk = smallDisk(8)));
  afterEach(() => disk.remove());

  it('refuses writes with storage_full, reads on, and writes again once there is space', async () => {
    const writer = startActor('store-user', 'embedded', join(disk.path, 'store'), 'write');
    await waitFor('rows to be written', () => lines(writer, 'ok').length > 20);
    disk.fill();
    await waitFor('a write to be refused', () => lines(writer, 'refused').length > 0);
    const read = lines(writer, 'read').length;
    await waitFor('reads to go on', () => lines(writer, 'read').length > read + 5);
    expect(new Set(lines(writer, 'refused'))).toEqual(new Set(['storage_full']));
    disk.relieve();
    const written = lines(writer, 'ok').length;
    await waitFor('writes to go on', () => lines(writer, 'ok').length > written + 20);
    expect(writer.running()).toBe(true);
    await writer.kill();
    const store = new EmbeddedStore(join(disk.path, 'store'), new SystemClock());
    const things = store.collection(thingDefinition('things'));
    for (const id of lines(writer, 'ok')) expect(await things.find('_id', id)).toBeDefined();
    await store.close();
  });
});
