import { Logger } from '@nestjs/common';
import { waitFor } from '../../test/support/processes';
import { type OpenStore, temporaryAuthenticatedStore } from '../../test/support/sealed-store';
import { newId, SystemClock } from '../kernel';
import { JobRunner } from '.';
import { type LeaseTimings } from './leases';
import { type JobDoc, jobsCollection } from './jobs.collection';

/** Never renews or polls by itself; the tests do. */
class ManualRunner extends JobRunner {
  protected override readonly timings: LeaseTimings = { leaseMs: 2 ** 30, renewMs: 2 ** 30, pollMs: 2 ** 30 };
  protected override readonly mostAtOnce = 1_000;
}

beforeAll(() => void Logger.overrideLogger(false));

let open: OpenStore;
const runners: ManualRunner[] = [];

beforeEach(async () => (open = await temporaryAuthenticatedStore()));
afterEach(async () => {
  await Promise.all(runners.splice(0).map((runner) => runner.beforeApplicationShutdown()));
  await open.close();
});

function runner(): ManualRunner {
  const made = new ManualRunner(open.store, new SystemClock());
  runners.push(made);
  return made;
}

/** Jobs without a holder, oldest first. */
async function stored(kind: string, count: number): Promise<string[]> {
  const rows = open.store.collection(jobsCollection);
  const ids = Array.from({ length: count }, () => newId());
  for (const id of ids) {
    await rows.insert({
      ...{ _id: id, kind, state: 'running', active_kind: `${kind}/${id}`, lease_owner: '', lease_until: 0, fence: 1 },
      ...{ progress: { total: 0, done: 0, failed: 0 }, data: {}, created_at: 0 },
    });
  }
  return ids;
}

const rowOf = async (id: string): Promise<JobDoc> => (await open.store.collection(jobsCollection).find('_id', id))!;

const until = (job: { readonly signal: AbortSignal }): Promise<void> =>
  new Promise((resolve) => job.signal.addEventListener('abort', () => resolve()));

describe('Jobs that nobody runs', () => {
  it('are found behind any number of older ones that this process cannot run', async () => {
    await stored('unknown', 250);
    const [last = ''] = await stored('count', 1);
    const one = runner();
    one.register('count', () => Promise.resolve());
    await one.poll();
    await waitFor('its end', async () => (await rowOf(last)).state === 'done');
  });

  it('are found behind any number of older ones that are stuck', async () => {
    await stored('stuck', 120);
    const [last = ''] = await stored('count', 1);
    const one = runner();
    one.register('stuck', until);
    one.register('count', () => Promise.resolve());
    await one.poll();
    await one.poll();
    await waitFor('its end', async () => (await rowOf(last)).state === 'done');
  });

  it('are taken some at a time, so that other replicas have their share, and all of them in the end', async () => {
    const ids = await stored('count', 250);
    const taken: string[] = [];
    const [one, two] = [runner(), runner()];
    for (const each of [one, two]) {
      each.register('count', (job) => {
        taken.push(job.id);
        return until(job);
      });
    }
    await one.poll();
    expect(taken).toEqual(ids.slice(0, 100));
    await two.poll();
    expect(taken).toHaveLength(200);
    await one.poll();
    expect([...taken].sort()).toEqual(ids);
  });

  it('have their turn where older ones come free again at once', async () => {
    const ids = await stored('count', 150);
    const taken = new Set<string>();
    const one = runner();
    one.register('count', (job) => {
      taken.add(job.id);
      return until(job);
    });
    await one.poll();
    for (const id of taken) await one.pause(id);
    for (const id of taken) await one.resume(id);
    await one.poll();
    expect(taken.size).toBe(ids.length);
  });

  it('are taken over past one whose row another process changes at that moment', async () => {
    const [first = '', second = ''] = await stored('count', 2);
    const rows = open.store.collection(jobsCollection);
    const one = runner();
    one.register('count', () => Promise.resolve(), {
      accepts: () => {
        void rows.find('_id', first).then((row) => row && rows.replace({ ...row, fence: 7 }));
        return true;
      },
    });
    await one.poll();
    await waitFor('the end of the other', async () => (await rowOf(second)).state === 'done');
  });
});
