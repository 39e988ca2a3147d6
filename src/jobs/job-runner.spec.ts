import { Logger } from '@nestjs/common';
import { DomainError } from '../kernel';
import { gate, ManualRunner, useJobRig } from '../../test/support/manual-jobs';
import { waitFor } from '../../test/support/processes';
import { Metrics } from '../observability';
import { JobBusy, JobFailed, LeaseLost, type RunningJob } from '.';
import { type JobDoc, jobsCollection } from './jobs.collection';

beforeAll(() => void Logger.overrideLogger(false));

const rig = useJobRig();
const { lapse, rowOf, runners, runnerWith, ended } = rig;

describe('a job that is handed over', () => {
  it('is begun by whoever looks first, and not by who stored it', async () => {
    const tool = new ManualRunner(rig.store, rig.clock);
    const job = await tool.enqueue('count', { colour: 'red' });
    await tool.poll();
    expect(await rowOf(job.id)).toMatchObject({ state: 'running', lease_owner: '', data: { colour: 'red' } });
    const service = runnerWith(() => Promise.resolve());
    await service.poll();
    expect(await ended(service, job)).toMatchObject({ state: 'done' });
  });

  it('takes the one place of its kind', async () => {
    const tool = new ManualRunner(rig.store, rig.clock);
    const job = await tool.enqueue('count', {});
    await expect(tool.enqueue('count', {})).rejects.toMatchObject({ job: { id: job.id } });
    await expect(runnerWith(() => Promise.resolve()).start('count', {})).rejects.toBeInstanceOf(JobBusy);
  });
});

describe('a job', () => {
  it('is durable before its start is answered, and ends as done', async () => {
    const runner = runnerWith(async (job) => job.save({ progress: { total: 1, done: 1, failed: 0 } }));
    const job = await runner.start('count', { colour: 'red' });
    expect(await rowOf(job.id)).toMatchObject({ kind: 'count', data: { colour: 'red' } });
    expect(await ended(runner, job)).toMatchObject({ state: 'done', progress: { total: 1, done: 1, failed: 0 } });
  });

  it('keeps the data that its handler saves, merged', async () => {
    const runner = runnerWith(async (job) => {
      await job.save({ data: { step: 1 } });
      await job.save({ data: { step: 2, target: 7 } });
    });
    expect(await ended(runner, await runner.start('count', { from: 6 }))).toMatchObject({
      data: { from: 6, step: 2, target: 7 },
    });
  });

  it('fails with the code of the error that its handler throws', async () => {
    const runner = runnerWith(() => Promise.reject(new DomainError('conflict')));
    expect(await ended(runner, await runner.start('count', {}))).toMatchObject({ state: 'failed', fault: 'conflict' });
  });

  it('fails as internal on an unknown error, whose text is kept nowhere', async () => {
    const runner = runnerWith(() => Promise.reject(new Error('a secret of a driver')));
    const job = await runner.start('count', {});
    expect(await ended(runner, job)).toMatchObject({ state: 'failed', fault: 'internal' });
    expect(JSON.stringify(await rowOf(job.id))).not.toContain('secret');
  });

  it('goes some time after its end where its kind says so, and stays where it is the history of its kind', async () => {
    const runner = runnerWith(() => Promise.resolve());
    runner.register('errand', () => Promise.resolve(), { keptMs: 5_000 });
    const [errand, history] = [await runner.start('errand', {}), await runner.start('count', {})];
    await Promise.all([ended(runner, errand), ended(runner, history)]);
    expect((await rowOf(errand.id)).gone_at).toBe(rig.clock.now() + 5_000);
    expect((await rowOf(history.id)).gone_at).toBeUndefined();
  });

  it('goes as well where it failed or was given up', async () => {
    const runner = runnerWith(() => Promise.resolve());
    const { handler, release } = gate();
    runner.register('failing', () => Promise.reject(new JobFailed('conflict')), { keptMs: 5_000 });
    runner.register('hanging', handler, { keptMs: 5_000 });
    const [failing, hanging] = [await runner.start('failing', {}), await runner.start('hanging', {})];
    await ended(runner, failing);
    expect(await runner.fail(hanging.id, 'conflict', () => true)).toBe(true);
    for (const { id } of [failing, hanging]) expect((await rowOf(id)).gone_at).toBe(rig.clock.now() + 5_000);
    release();
  });

  it('does not go while it runs, however long that takes', async () => {
    const { handler, release } = gate();
    const runner = runnerWith(() => Promise.resolve());
    runner.register('errand', handler, { keptMs: 1 });
    const { id } = await runner.start('errand', {});
    expect((await rowOf(id)).gone_at).toBeUndefined();
    release();
  });

  it('is tried again after an outage', async () => {
    let tries = 0;
    const runner = runnerWith(() => {
      tries += 1;
      return tries === 1 ? Promise.reject(new DomainError('kms_unavailable')) : Promise.resolve();
    });
    expect(await ended(runner, await runner.start('count', {}))).toMatchObject({ state: 'done' });
  });

  it('is not tried again where its handler says that it cannot go on', async () => {
    const runner = runnerWith(() => Promise.reject(new JobFailed('kms_unavailable')));
    const job = await ended(runner, await runner.start('count', {}));
    expect(job).toMatchObject({ state: 'failed', fault: 'kms_unavailable' });
  });

  it('tells who waits for a state as soon as it is reached', async () => {
    const { handler, release } = gate();
    const runner = runnerWith(async (job) => {
      await job.save({ data: { half: true } });
      await handler(job);
    });
    const { id } = await runner.start('count', {});
    expect(await runner.until(id, (job) => job.data['half'] === true, 30_000)).toMatchObject({ state: 'running' });
    release();
    expect(await runner.until(id, (job) => job.state === 'done', 30_000)).toMatchObject({ state: 'done' });
  });

  it('is told as it is to who ran out of patience', async () => {
    const { handler, release } = gate();
    const runner = runnerWith(handler);
    const { id } = await runner.start('count', {});
    expect(await runner.until(id, (job) => job.state === 'done', 1)).toMatchObject({ state: 'running' });
    release();
  });
});

describe('the one place of a kind', () => {
  it('refuses a second job while one runs, and names it', async () => {
    const { handler, release } = gate();
    const [one, two] = [runnerWith(handler), runnerWith(handler)];
    const first = await one.start('count', {});
    for (const runner of [one, two]) {
      const refusal = await runner.start('count', {}).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(JobBusy);
      expect((refusal as JobBusy).job.id).toBe(first.id);
    }
    release();
  });

  it('lets one of many that start at once through', async () => {
    const { handler, release } = gate();
    const all = Array.from({ length: 10 }, () => runnerWith(handler).start('count', {}));
    const started = (await Promise.allSettled(all)).filter((one) => one.status === 'fulfilled');
    expect(started).toHaveLength(1);
    release();
  });

  it('is free again once the job has ended', async () => {
    const runner = runnerWith(() => Promise.resolve());
    await ended(runner, await runner.start('count', {}));
    await expect(runner.start('count', {})).resolves.toMatchObject({ state: 'running' });
  });

  it('does not stand in the way of another kind', async () => {
    const { handler, release } = gate();
    const runner = runnerWith(handler);
    runner.register('other', () => Promise.resolve());
    await runner.start('count', {});
    await expect(runner.start('other', {})).resolves.toBeDefined();
    release();
  });

  it('stays taken while the job is paused', async () => {
    const { handler, release } = gate();
    const runner = runnerWith(handler);
    const { id } = await runner.start('count', {});
    expect(await runner.pause(id)).toBe(true);
    await expect(runner.start('count', {})).rejects.toBeInstanceOf(JobBusy);
    release();
  });

  it('has room for one handler a kind only', () => {
    const runner = runnerWith(() => Promise.resolve());
    expect(() => runner.register('count', () => Promise.resolve())).toThrow(TypeError);
  });
});

describe('a lease', () => {
  it('keeps others away while it holds', async () => {
    const { handler, release } = gate();
    const second = jest.fn<Promise<void>, [RunningJob]>(() => Promise.resolve());
    await runnerWith(handler).start('count', {});
    await runnerWith(second).poll();
    expect(second).not.toHaveBeenCalled();
    release();
  });

  it('is taken over once it ran out, with what was saved', async () => {
    const { handler, reached, release } = gate();
    const first = await runnerWith(handler).start('count', { from: 3 });
    await (await reached).save({ data: { target: 4 } });
    const taken: RunningJob[] = [];
    const runner = runnerWith((job) => Promise.resolve(void taken.push(job)));
    await lapse(runner);
    await runner.poll();
    await ended(runner, first);
    expect(taken.map(({ id, data, resumed }) => ({ id, data, resumed }))).toEqual([
      { id: first.id, data: { from: 3, target: 4 }, resumed: true },
    ]);
    release();
  });

  it('is taken over once, however many look at the same time', async () => {
    const { handler, release } = gate();
    const first = await runnerWith(handler).start('count', {});
    const taken = jest.fn<Promise<void>, [RunningJob]>(() => Promise.resolve());
    const others = Array.from({ length: 8 }, () => runnerWith(taken));
    await lapse(...others);
    await Promise.all(others.map((runner) => runner.poll()));
    await ended(others[0]!, first);
    expect(taken).toHaveBeenCalledTimes(1);
    release();
  });

  it.each(['save', 'hold'] as const)('refuses the %s of a runner that slept through its end', async (step) => {
    const { handler, reached, release } = gate();
    const first = await runnerWith(handler).start('count', {});
    const sleeper = await reached;
    const runner = runnerWith(() => Promise.resolve());
    await lapse(runner);
    await runner.poll();
    await ended(runner, first);
    const before = await rowOf(first.id);
    const late = step === 'save' ? sleeper.save({ data: { late: true } }) : sleeper.assertLease();
    await expect(late).rejects.toBeInstanceOf(LeaseLost);
    expect(await rowOf(first.id)).toEqual(before);
    release();
  });

  it('refuses by the fencing number a runner whose own clock still thinks that it holds', async () => {
    const { handler, reached, release } = gate();
    const first = await runnerWith(handler).start('count', {});
    const sleeper = await reached;
    const taker = gate();
    const runner = runnerWith(taker.handler);
    await lapse(runner);
    await runner.poll();
    await taker.reached;
    rig.clock.ms -= 10_001;
    await expect(sleeper.assertLease()).rejects.toBeInstanceOf(LeaseLost);
    await expect(sleeper.save({ data: { late: true } })).rejects.toBeInstanceOf(LeaseLost);
    expect(sleeper.signal.aborted).toBe(true);
    expect(await rowOf(first.id)).toMatchObject({ fence: 2, data: {} });
    taker.release();
    release();
  });

  it('is given back at a stop, so that another goes on at once', async () => {
    const runner = runnerWith((job) => new Promise((resolve) => job.signal.addEventListener('abort', () => resolve())));
    const first = await runner.start('count', {});
    await runner.beforeApplicationShutdown();
    expect(await rowOf(first.id)).toMatchObject({ state: 'running', lease_owner: '' });
    const next = runnerWith(() => Promise.resolve());
    await next.poll();
    expect(await ended(next, first)).toMatchObject({ state: 'done' });
  });

  it('of a job of an unknown kind is left to those who know it', async () => {
    const { handler, release } = gate();
    const first = await runnerWith(handler).start('count', {});
    const other = runnerWith(() => Promise.resolve(), 'other');
    await lapse(other);
    await other.poll();
    expect(await rowOf(first.id)).toMatchObject({ fence: 1 });
    release();
  });

  it('of a forged row is never taken', async () => {
    const { handler, release } = gate();
    const first = await runnerWith(handler).start('count', {});
    const raw = rig.engine.collection<JobDoc & { seal: string }>({
      ...jobsCollection,
      fields: { ...jobsCollection.fields, data: 'string', progress: 'string', seal: 'string' },
    } as never);
    const row = await raw.find('_id', first.id);
    await raw.replace({ ...row!, data: '{"from":99}' } as never);
    const taken = jest.fn<Promise<void>, [RunningJob]>(() => Promise.resolve());
    const runner = runnerWith(taken);
    await lapse(runner);
    await runner.poll();
    expect(taken).not.toHaveBeenCalled();
    release();
  });
});

describe('a paused job', () => {
  it('stops its runner at the next step and is run by nobody', async () => {
    const { handler, reached, release } = gate();
    const [one, two] = [runnerWith(handler), runnerWith(() => Promise.resolve())];
    const { id } = await one.start('count', {});
    const job = await reached;
    expect(await two.pause(id)).toBe(true);
    await expect(job.assertLease()).rejects.toBeInstanceOf(LeaseLost);
    rig.clock.ms += 60_000;
    await two.poll();
    expect(await rowOf(id)).toMatchObject({ state: 'paused' });
    release();
  });

  it('goes on where it was, after its resume', async () => {
    const { handler, reached, release } = gate();
    const [one, two] = [runnerWith(handler), runnerWith(() => Promise.resolve())];
    const job = await one.start('count', {});
    await (await reached).save({ data: { step: 5 } });
    await one.pause(job.id);
    expect(await two.resume(job.id)).toBe(true);
    expect(await ended(two, job)).toMatchObject({ state: 'done', data: { step: 5 } });
    release();
  });

  it('cannot be paused twice, nor resumed while it runs', async () => {
    const { handler, release } = gate();
    const runner = runnerWith(handler);
    const { id } = await runner.start('count', {});
    expect(await runner.resume(id)).toBe(false);
    expect(await runner.pause(id)).toBe(true);
    expect(await runner.pause(id)).toBe(false);
    release();
  });
});

it('leaves a job that it does not accept to a process that does', async () => {
  const stalled = gate();
  const first = runnerWith(stalled.handler);
  const job = await first.start('count', { to: 'there' });
  await stalled.reached;
  const [other, able] = [new ManualRunner(rig.store, rig.clock), new ManualRunner(rig.store, rig.clock)];
  runners.push(other, able);
  other.register('count', () => Promise.resolve(), { accepts: (data) => data['to'] !== 'there' });
  able.register('count', () => Promise.resolve());
  await lapse(other, able);
  await other.poll();
  expect((await rowOf(job.id)).fence).toBe(1);
  await able.poll();
  expect(await ended(able, job)).toMatchObject({ state: 'done' });
  stalled.release();
});

it('counts jobs that failed by their kind, from 0 on', async () => {
  const metrics = new Metrics();
  const runner = new ManualRunner(rig.store, rig.clock, metrics);
  runner.register('failing', () => Promise.reject(new JobFailed('conflict')));
  expect(await metrics.registry.metrics()).toContain('coffer_jobs_failed_total{kind="failing"} 0\n');
  const { id } = await runner.start('failing', {});
  await waitFor('the job to fail', async () => (await runner.find(id))?.state === 'failed');
  await waitFor('the count', async () =>
    (await metrics.registry.metrics()).includes('coffer_jobs_failed_total{kind="failing"} 1\n'),
  );
  const { handler, release } = gate();
  runner.register('hanging', handler);
  const hanging = await runner.start('hanging', {});
  expect(await runner.fail(hanging.id, 'conflict', () => true)).toBe(true);
  expect(await runner.fail(hanging.id, 'conflict', () => true)).toBe(false);
  expect(await metrics.registry.metrics()).toContain('coffer_jobs_failed_total{kind="hanging"} 1\n');
  release();
  await runner.beforeApplicationShutdown();
});
