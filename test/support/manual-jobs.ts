import { Clock } from '../../src/kernel';
import { type JobHandler, JobRunner, type RunningJob } from '../../src/jobs';
import { type LeaseTimings } from '../../src/jobs/leases';

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
