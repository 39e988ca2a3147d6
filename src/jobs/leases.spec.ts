import { Logger } from '@nestjs/common';
import { Clock, DomainError, newId } from '../kernel';
import { gate, ManualRunner, useJobRig } from '../../test/support/manual-jobs';
import { waitFor } from '../../test/support/processes';
import { type Job, type JobHandler, JobRunner, LeaseLost, type RunningJob } from '.';
import { type JobDoc, jobsCollection } from './jobs.collection';
import { type LeaseTimings } from './leases';

beforeAll(() => void Logger.overrideLogger(false));

const rig = useJobRig();
const { lapse, rowOf, runners, runnerWith, ended } = rig;

describe('a lease, whatever the clocks of replicas say,', () => {
  const elsewhere = (until: number) => ({ lease_owner: 'another-boot.1/7/x', lease_until: rig.clock.ms + until });
  async function heldElsewhere(until: number): Promise<JobDoc> {
    const rows = rig.store.collection(jobsCollection);
    return rows.insert({
      ...{ _id: newId(), kind: 'count', state: 'running', active_kind: 'count', fence: 1, ...elsewhere(until) },
      ...{ progress: { total: 0, done: 0, failed: 0 }, data: {}, created_at: 0 },
    });
  }

  it.each([
    ['an hour ahead', 3_600_000],
    ['in the past', -3_600_000],
  ])('is free where its holder died and its end lies %s', async (_, until) => {
    const { _id: id } = await heldElsewhere(until);
    const runner = runnerWith(() => Promise.resolve());
    await lapse(runner);
    await runner.poll();
    expect(await ended(runner, { id } as Job)).toMatchObject({ state: 'done' });
  });

  it.each([
    ['an hour ahead', 3_600_000],
    ['in the past', -3_600_000],
  ])('is its holder’s where he renews it and its end lies %s', async (_, until) => {
    let row = await heldElsewhere(until);
    const taken = jest.fn<Promise<void>, [RunningJob]>(() => Promise.resolve());
    const runner = runnerWith(taken);
    for (let round = 0; round < 5; round += 1) {
      await runner.poll();
      rig.clock.ms += 6_000;
      row = (await rig.store.collection(jobsCollection).replace({ ...row, ...elsewhere(until) }))!;
    }
    expect(taken).not.toHaveBeenCalled();
  });

  it('outlives a step of its holder’s wall clock', async () => {
    const { handler, reached, release } = gate();
    let [wall, elapsed] = [rig.clock.ms, 0];
    const stepping = new (class extends Clock {
      now = (): number => wall;
      override elapsed = (): number => elapsed;
    })();
    const runner = new ManualRunner(rig.store, stepping);
    runner.register('count', handler);
    runners.push(runner);
    await runner.start('count', {});
    wall += 3_600_000;
    elapsed += 9_000;
    await (await reached).assertLease();
    wall -= 7_200_000;
    elapsed += 999;
    await expect((await reached).save({ data: { step: 1 } })).resolves.toBeUndefined();
    elapsed += 10_000;
    await expect((await reached).assertLease()).rejects.toBeInstanceOf(LeaseLost);
    release();
  });
});

describe('A job that is seen before the write that stored it has answered', () => {
  it('is run once, and not taken over from itself', async () => {
    const rows = rig.store.collection(jobsCollection);
    const insert = rows.insert.bind(rows);
    const { handler, reached, release } = gate();
    const run = jest.fn(handler);
    const runner = runnerWith(run);
    const answer = jest.spyOn(rows, 'insert').mockImplementationOnce(async (draft) => {
      const stored = await insert(draft);
      await runner.poll();
      return stored;
    });
    const { id } = await runner.start('count', {});
    answer.mockRestore();
    await expect((await reached).assertLease()).resolves.toBeUndefined();
    expect(run).toHaveBeenCalledTimes(1);
    expect((await rowOf(id)).fence).toBe(1);
    release();
  });
});

describe('Jobs of one kind', () => {
  class NarrowRunner extends JobRunner {
    protected override readonly timings: LeaseTimings = { leaseMs: 10_000, renewMs: 2 ** 30, pollMs: 2 ** 30 };
    protected override readonly mostAtOnce = 3;
  }
  function narrow(handler: JobHandler): JobRunner {
    const runner = new NarrowRunner(rig.store, rig.clock);
    for (const kind of ['count', 'other']) runner.register(kind, handler);
    runners.push(runner);
    return runner;
  }
  const started = (runner: JobRunner, count: number): Promise<Job[]> =>
    Promise.all(Array.from({ length: count }, (_, at) => runner.start('count', {}, `subject-${at}`)));

  it('are run some at once by a process, the others in their turn, and all of them in the end', async () => {
    let [now, most] = [0, 0];
    const runner = narrow(async () => {
      most = Math.max(most, (now += 1));
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
    });
    const jobs = await started(runner, 20);
    const waitedFor = await Promise.all(
      jobs.map(({ id }) => runner.until(id, ({ state }) => state === 'done', 30_000)),
    );
    expect(waitedFor.map(({ state }) => state)).toEqual(jobs.map(() => 'done'));
    expect(most).toBe(3);
  });

  it('hold no lease while they wait, and do not stand in the way of another kind', async () => {
    const { handler, release } = gate();
    const runner = narrow(handler);
    const jobs = await started(runner, 5);
    await runner.poll();
    const owners = await Promise.all(jobs.map(async ({ id }) => (await rowOf(id)).lease_owner));
    expect(owners.filter((owner) => owner !== '')).toHaveLength(3);
    expect((await rowOf((await runner.start('other', {})).id)).lease_owner).not.toBe('');
    release();
  });

  it('give their place up in an outage to those that wait', async () => {
    const tried = new Set<string>();
    const runner = narrow((job) => {
      tried.add(job.id);
      return Promise.reject(new DomainError('kms_unavailable'));
    });
    await started(runner, 5);
    await runner.poll();
    await waitFor('all of them to be tried', () => tried.size === 5);
  });
});

describe('The renewal of leases', () => {
  class RenewingRunner extends JobRunner {
    protected override readonly timings: LeaseTimings = { leaseMs: 10_000, renewMs: 5, pollMs: 2 ** 30 };
  }

  it('is one pass for all that are held, and none of a lease that was written a moment ago', async () => {
    const { handler, release } = gate();
    const runner = new RenewingRunner(rig.store, rig.clock);
    runner.register('count', handler);
    runners.push(runner);
    const { id } = await runner.start('count', {});
    const { rev } = await rowOf(id);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await rowOf(id)).rev).toBe(rev);
    rig.clock.ms += 5;
    await waitFor('the renewal', async () => (await rowOf(id)).rev !== rev);
    const { rev: next } = await rowOf(id);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await rowOf(id)).rev).toBe(next);
    release();
  });
});
