/**
 * A process that runs jobs of kind `steps` on the store in argv[2], with leases of argv[3] ms; with
 * `start` as argv[4] it starts one of argv[5] steps. Each step is a row of `steps`; what it does is
 * printed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { SystemClock } from '../../../src/kernel';
import { JobRunner, LeaseLost, type RunningJob } from '../../../src/jobs';
import { type LeaseTimings } from '../../../src/jobs/leases';
import { stepsCollection } from '../job-steps';
import { openAuthenticatedStore } from '../sealed-store';

const [, , folder = '', leaseMs = '1000', command = '', steps = '0'] = process.argv;

class QuickRunner extends JobRunner {
  protected override readonly timings: LeaseTimings = {
    leaseMs: Number(leaseMs),
    renewMs: Number(leaseMs) / 4,
    pollMs: 50,
  };
}

Logger.overrideLogger(false);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const { store } = openAuthenticatedStore(folder);
const rows = store.collection(stepsCollection);
const runner = new QuickRunner(store, new SystemClock());

async function run(job: RunningJob): Promise<void> {
  say(job.resumed ? 'resumed' : 'begun');
  const total = Number(job.data['steps']);
  for (let step = job.progress.done + 1; step <= total; step += 1) {
    await job.assertLease();
    await rows.insert({ _id: `${step}/${process.pid}`, step, pid: process.pid });
    await job.save({ progress: { total, done: step, failed: 0 } });
    say(`step ${step}`);
    // A rest in which a test can stop this process between two writes.
    await sleep(step === 10 ? 500 : 10);
  }
  say('finished');
}

runner.register('steps', async (job) => {
  try {
    await run(job);
  } catch (error) {
    if (error instanceof LeaseLost) say('lost');
    throw error;
  }
});
runner.onApplicationBootstrap();
if (command === 'start') void runner.start('steps', { steps: Number(steps) });
say('ready');
setInterval(() => undefined, 1000);
