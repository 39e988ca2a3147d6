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
  /** Why a failed job failed. */
  readonly fault: ErrorCode | undefined;
}

export interface JobChange {
  /** Merged into the data that is there. */
  readonly data?: JobData;
  readonly progress?: JobProgress;
}

/** A job as its handler sees it, for as long as this process holds the lease. */
export interface RunningJob {
  readonly id: string;
  readonly data: JobData;
  readonly progress: JobProgress;
  /** True when somebody had the job before: what was not saved may or may not have been done. */
  readonly resumed: boolean;
  /** Aborted when the lease is lost, the job is paused, or the process stops. */
  readonly signal: AbortSignal;
  /** Stores progress and data, if the job is still ours. @throws LeaseLost */
  save(change: JobChange): Promise<void>;
  /** Asked before each write elsewhere: reads the row, so that a process that was stopped for a while writes nothing. @throws LeaseLost */
  assertLease(): Promise<void>;
}

/**
 * Does the whole job, or the rest of it: may be called again after a crash at any point, with the data that was saved last. A
 * DomainError `kms_unavailable`, `store_unavailable` or `storage_full` is retried with back-off; any other error fails the job.
 */
export type JobHandler = (job: RunningJob) => Promise<void>;

/** The job is no longer this process's: taken over, paused, or the process stops. Handlers let it through. */
export class LeaseLost extends Error {
  constructor(readonly jobId: string) {
    super(`job ${jobId} is no longer held here`);
    this.name = 'LeaseLost';
  }
}

/** Thrown by a handler: the job cannot go on, and no retry is wanted. */
export class JobFailed extends Error {
  constructor(readonly code: ErrorCode) {
    super(`job failed: ${code}`);
    this.name = 'JobFailed';
  }
}

/** One job of this kind is running or paused already. */
export class JobBusy extends Error {
  constructor(readonly job: Job) {
    super(`a job of kind ${job.kind} is under way`);
    this.name = 'JobBusy';
  }
}

export interface JobKind {
  /** Which jobs of the kind this process may take over; all, unless told. */
  readonly accepts?: (data: JobData) => boolean;
  /** How long the row of one that has ended is kept, in ms. Without it, for good: as the history of a kind that has few. */
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
