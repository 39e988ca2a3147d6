import { ErrorCode } from '../kernel';
import { JobData, JobDoc, JobProgress, JobState } from './jobs.collection';

export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly state: JobState;
  readonly data: JobData;
  readonly progress: JobProgress;
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly finishedAt: number | undefined;
  /** Error code of a failed job. */
  readonly fault: ErrorCode | undefined;
}

export interface JobChange {
  /** Merged into the stored data. */
  readonly data?: JobData;
  readonly progress?: JobProgress;
}

/** A job as seen by its handler while this process holds the lease. */
export interface RunningJob {
  readonly id: string;
  readonly data: JobData;
  readonly progress: JobProgress;
  /**
   * True if another process or attempt ran the job before: work that was not saved may or may not
   * have been done.
   */
  readonly resumed: boolean;
  /** Aborted when the lease is lost, the job is paused, or the process stops. */
  readonly signal: AbortSignal;
  /**
   * Stores progress and data if the lease is still held.
   * @throws LeaseLost
   */
  save(change: JobChange): Promise<void>;
  /**
   * Call before each write to another row: reads the lease, so that a process that slept writes
   * nothing.
   * @throws LeaseLost
   */
  assertLease(): Promise<void>;
}

/**
 * Does the whole job or the rest of it; called again with the last saved data after a crash at any
 * point.
 * `kms_unavailable`, `store_unavailable` and `storage_full` are retried with back-off; any other
 * error fails the job.
 */
export type JobHandler = (job: RunningJob) => Promise<void>;

/** Thrown by a handler to fail the job without a retry. */
export class JobFailed extends Error {
  constructor(readonly code: ErrorCode) {
    super(`job failed: ${code}`);
    this.name = 'JobFailed';
  }
}

/** A job of this kind is already running or paused. */
export class JobBusy extends Error {
  constructor(readonly job: Job) {
    super(`a job of kind ${job.kind} is under way`);
    this.name = 'JobBusy';
  }
}

export interface JobKind {
  /** Selects the jobs of the kind that this process may take over; by default all. */
  readonly accepts?: (data: JobData) => boolean;
  /** Retention of ended jobs in ms. Undefined keeps the rows for ever, for kinds with few jobs. */
  readonly keptMs?: number;
}

export const endedAt = (now: number, keptMs: number | undefined): Pick<JobDoc, 'finished_at' | 'gone_at'> => ({
  finished_at: now,
  ...(keptMs !== undefined && { gone_at: now + keptMs }),
});

export const jobOf = (doc: JobDoc): Job => ({
  id: doc._id,
  kind: doc.kind,
  state: doc.state,
  data: doc.data,
  progress: doc.progress,
  createdAt: doc.created_at,
  finishedAt: doc.finished_at,
  fault: doc.fault as ErrorCode | undefined,
});
