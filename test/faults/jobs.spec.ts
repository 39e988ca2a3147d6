import { jobsCollection } from '../../src/jobs/jobs.collection';
import { pauseOutsideWrite, startActor } from '../support/actors';
import { stepsCollection } from '../support/job-steps';
import { type Managed, waitFor } from '../support/processes';
import { type OpenStore, temporaryAuthenticatedStore } from '../support/sealed-store';

jest.setTimeout(120_000);

const STEPS = 60;
const SHORT_LEASE = '1500';
const LONG_LEASE = '600000';

let open: OpenStore;
const workers: Managed[] = [];
beforeEach(async () => (open = await temporaryAuthenticatedStore()));
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
  await open.close();
});

async function worker(lease: string, ...rest: string[]): Promise<Managed> {
  const started = startActor('job-worker', open.folder, lease, ...rest);
  workers.push(started);
  await waitFor('the worker', () => started.output().includes('ready'));
  return started;
}

const starter = (lease: string): Promise<Managed> => worker(lease, 'start', String(STEPS));
const said = (one: Managed, text: string): Promise<unknown> => waitFor(text, () => one.output().includes(`${text}\n`));
const jobRow = async () => (await open.store.collection(jobsCollection).list('_id', [], { limit: 2 })).items;
const stepRows = async () => (await open.store.collection(stepsCollection).list('step', [], { limit: 500 })).items;

async function expectAllStepsDone(): Promise<void> {
  const done = new Set((await stepRows()).map((row) => row.step));
  expect(done.size).toBe(STEPS);
  expect(await jobRow()).toEqual([
    expect.objectContaining({ state: 'done', progress: { total: STEPS, done: STEPS, failed: 0 } }),
  ]);
}

describe('a job with two processes that could run it', () => {
  it('is run by one of them from its start to its end', async () => {
    const other = await worker(SHORT_LEASE);
    const one = await starter(SHORT_LEASE);
    await said(one, 'finished');
    await waitFor('the end', async () => (await jobRow())[0]?.state === 'done');
    await expectAllStepsDone();
    expect(new Set((await stepRows()).map((row) => row.pid))).toEqual(new Set([one.pid]));
    expect(other.output()).toBe('ready\n');
  });

  it('is finished by the other after the runner was killed, with at most one step done twice', async () => {
    const other = await worker(SHORT_LEASE);
    const one = await starter(SHORT_LEASE);
    await said(one, 'step 10');
    await one.kill();
    await said(other, 'finished');
    await waitFor('the end', async () => (await jobRow())[0]?.state === 'done');
    await expectAllStepsDone();
    expect((await stepRows()).length).toBeLessThanOrEqual(STEPS + 1);
    expect(await jobRow()).toEqual([expect.objectContaining({ fence: 2 })]);
  });

  it('is taken from a runner that stands still, which then writes nothing more', async () => {
    const other = await worker(SHORT_LEASE);
    const one = await starter(SHORT_LEASE);
    await said(one, 'step 10');
    await pauseOutsideWrite(one, open.store);
    await said(other, 'finished');
    await waitFor('the end', async () => (await jobRow())[0]?.state === 'done');
    const before = { job: await jobRow(), steps: await stepRows() };
    one.resume();
    await said(one, 'lost');
    expect({ job: await jobRow(), steps: await stepRows() }).toEqual(before);
  });

  it('goes on at once in a process that starts after a kill, however long the lease was', async () => {
    const one = await starter(LONG_LEASE);
    await said(one, 'step 10');
    await one.kill();
    const next = await worker(LONG_LEASE);
    await said(next, 'resumed');
    await said(next, 'finished');
    await waitFor('the end', async () => (await jobRow())[0]?.state === 'done');
    await expectAllStepsDone();
  });
});
