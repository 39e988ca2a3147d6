import { Clock } from '../../src/kernel';
import { type Job, type JobHandler, JobRunner, type RunningJob } from '../../src/jobs';
import { type JobDoc, jobsCollection } from '../../src/jobs/jobs.collection';
import { type LeaseTimings } from '../../src/jobs/leases';
import { waitFor } from './processes';
import { type OpenStore, temporaryAuthenticatedStore } from './sealed-store';

export class MovableClock extends Clock {
  ms = 1_700_000_000_000;
  now(): number {
    return this.ms;
  }
  override elapsed(): number {
    return this.ms;
  }
}

/** Never renews or polls by itself: the tests do. */
export class ManualRunner extends JobRunner {
  protected override readonly timings: LeaseTimings = { leaseMs: 10_000, renewMs: 2 ** 30, pollMs: 2 ** 30 };
}

/** A handler that waits at a gate, as a process that stalls does. */
export function gate(): { handler: JobHandler; reached: Promise<RunningJob>; release: () => void } {
  let release = (): void => undefined;
  let reach: (job: RunningJob) => void = () => undefined;
  const reached = new Promise<RunningJob>((resolve) => (reach = resolve));
  const opened = new Promise<void>((resolve) => (release = resolve));
  const handler: JobHandler = async (job) => {
    reach(job);
    await opened;
  };
  return { handler, reached, release: () => release() };
}

/**
 * Jobs of a test on a store and a clock of its own: `store` and `clock` are there inside tests and
 * hooks.
 */
export interface JobRig {
  readonly store: OpenStore['store'];
  /** The same rows without their seals. */
  readonly engine: OpenStore['engine'];
  readonly clock: MovableClock;
  /** Runners that end with the test. */
  readonly runners: JobRunner[];
  readonly runnerWith: (handler: JobHandler, kind?: string) => JobRunner;
  /** The time of a lease passes while these look on. */
  readonly lapse: (...watching: JobRunner[]) => Promise<void>;
  readonly rowOf: (id: string) => Promise<JobDoc>;
  readonly ended: (runner: JobRunner, job: Job) => Promise<Job>;
}

export function useJobRig(): JobRig {
  let open: OpenStore;
  let clock: MovableClock;
  const runners: JobRunner[] = [];
  beforeEach(async () => {
    open = await temporaryAuthenticatedStore();
    clock = new MovableClock();
  });
  afterEach(async () => {
    await Promise.all(runners.splice(0).map((runner) => runner.beforeApplicationShutdown()));
    await open.close();
  });
  return {
    get store() {
      return open.store;
    },
    get engine() {
      return open.engine;
    },
    get clock() {
      return clock;
    },
    runners,
    runnerWith: (handler, kind = 'count') => {
      const runner = new ManualRunner(open.store, clock);
      runner.register(kind, handler);
      runners.push(runner);
      return runner;
    },
    lapse: async (...watching) => {
      await Promise.all(watching.map((runner) => runner.poll()));
      clock.ms += 10_001;
    },
    rowOf: async (id) => (await open.store.collection(jobsCollection).find('_id', id))!,
    ended: (runner, job) =>
      waitFor('the job to end', async () => {
        const now = await runner.find(job.id);
        return now?.state === 'done' || now?.state === 'failed' ? now : undefined;
      }),
  };
}
