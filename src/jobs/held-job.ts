import { Clock, ErrorCode } from '../kernel';
import { HeldLease } from './held-lease';
import { Job, JobChange, RunningJob, endedAt, jobOf } from './job';
import { JobData, JobDoc, JobProgress } from './jobs.collection';

/** A job that this process runs: its lease and its listeners. */
export class HeldJob implements RunningJob {
  readonly resumed: boolean;
  readonly #listeners = new Set<(job: Job) => void>();

  constructor(
    private readonly lease: HeldLease<JobDoc>,
    private readonly clock: Clock,
    private readonly keptMs: number | undefined,
  ) {
    this.resumed = lease.row.fence > 1;
    this.signal.addEventListener('abort', () => this.#tell(), { once: true });
  }

  get signal(): AbortSignal {
    return this.lease.signal;
  }

  get id(): string {
    return this.lease.row._id;
  }

  get data(): JobData {
    return this.lease.row.data;
  }

  get progress(): JobProgress {
    return this.lease.row.progress;
  }

  get job(): Job {
    return jobOf(this.lease.row);
  }

  async save({ data, progress }: JobChange): Promise<void> {
    await this.lease.save((doc) => ({
      ...doc,
      data: { ...doc.data, ...data },
      progress: progress ?? doc.progress,
    }));
    this.#tell();
  }

  assertLease(): Promise<void> {
    return this.lease.hold();
  }

  async finish(state: 'done' | 'failed', fault?: ErrorCode): Promise<void> {
    await this.lease.end(({ active_kind: _place, ...doc }) => ({
      ...doc,
      state,
      ...endedAt(this.clock.now(), this.keptMs),
      ...(fault === undefined ? {} : { fault }),
    }));
  }

  /** Releases the lease, so that another process can take over at once. */
  release(): Promise<void> {
    return this.lease.release();
  }

  /** Prevents all further writes of the handler. */
  abandon(): void {
    this.lease.abandon();
  }

  /**
   * Calls the listener after each stored change and when the lease ends. Returns a function that
   * removes the listener.
   */
  onChange(listener: (job: Job) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener(this.job);
  }
}
