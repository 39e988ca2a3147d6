import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../../src/kernel';
import { type Collection, DuplicateKey } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import type { ThingDoc } from '../contract/collection/things';
import { startActor } from '../support/actors';
import { indexedThings, plainThings } from '../support/indexed-things';
import { isLong } from '../support/parts';
import { type Managed } from '../support/processes';

const LONG_RUN = 900_000;

describe('a new index of the embedded store, while a process of the former release serves', () => {
  let folder: string;
  let store: EmbeddedStore;
  let things: Collection<ThingDoc>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-index-'));
    store = new EmbeddedStore(folder, new SystemClock());
    things = store.collection(plainThings);
    await store.prepare();
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  const thing = (n: number) => ({ _id: `t${n}`, owner: `o${n % 100}`, email: `e${n}`, size: n });
  const builder = (point = ''): Managed => startActor('index-builder', folder, point);

  async function fill(count: number): Promise<void> {
    for (let start = 0; start < count; start += 500) {
      const part = Array.from({ length: Math.min(500, count - start) }, (_, at) => thing(start + at));
      await Promise.all(part.map((row) => things.insert(row)));
    }
  }

  /** Reads by the new indexes in a store of the newer release. */
  async function countsByIndex(): Promise<readonly number[]> {
    const newer = new EmbeddedStore(folder, new SystemClock());
    const found = newer.collection(indexedThings);
    await newer.prepare();
    const counts = [await found.count('byEmail', []), await found.count('byOwner', [])];
    expect((await found.find('byEmail', 'changed'))?._id).toBe('t0');
    expect(await found.find('byEmail', 'e0')).toBeUndefined();
    await newer.close();
    return counts;
  }

  it('goes on after kill -9 at each of several steps, and has every row that came, changed or went meanwhile', async () => {
    await fill(2_000);
    for (const point of ['index.step-stored', 'index.step-stored:4', 'index.step-stored:9']) {
      const dying = builder(point);
      expect([await dying.exited, dying.output()]).toEqual([null, expect.stringMatching(/^building/)]);
      const n = 3_000 + Number(point.split(':')[1] ?? 0);
      await things.insert(thing(n));
      await things.remove(`t${n - 2_000}`);
    }
    await things.replace({ ...(await things.find('_id', 't0'))!, email: 'changed' });
    const last = builder();
    expect([await last.exited, last.output()]).toEqual([0, expect.stringContaining('built')]);
    expect(await countsByIndex()).toEqual([2_000, 2_000]);
    await expect(things.insert({ ...thing(9), _id: 'another' })).rejects.toBeInstanceOf(DuplicateKey);
  }, 60_000);

  if (!isLong()) return;

  it(
    'over 300,000 rows lets others answer: prints their longest wait, and the memory of the one that builds',
    async () => {
      await fill(300_000);
      const building = builder();
      let ended = false;
      void building.exited.then(() => (ended = true));
      const longest = { read: 0, write: 0 };
      let writes = 0;
      for (; !ended; writes += 1) {
        longest.read = Math.max(longest.read, await timed(() => things.find('_id', `t${(writes * 7919) % 300_000}`)));
        longest.write = Math.max(longest.write, await timed(() => things.insert(thing(400_000 + writes))));
      }
      await things.replace({ ...(await things.find('_id', 't0'))!, email: 'changed' });
      expect(await building.exited).toBe(0);
      expect(await countsByIndex()).toEqual([300_000 + writes, 300_000 + writes]);
      process.stdout.write(`${building.output()}longest wait ${JSON.stringify(longest)} ms, writes ${writes}\n`);
    },
    LONG_RUN,
  );
});

async function timed(act: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await act();
  return Math.round(performance.now() - since);
}
