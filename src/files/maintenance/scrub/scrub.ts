import { Job, JobChange, JobData, JobProgress, JobState, RunningJob } from '../../../jobs';
import { ErrorCode } from '../../../kernel';

export const SCRUB_JOB = 'files.scrub';

/** Failures that a scrub names; the rest it counts, and the audit log has them all. */
const MOST_NAMED = 100;

/** A content that cannot be read any more as it was stored. */
export interface ScrubFailure {
  readonly file_id: string;
  readonly version: number;
  readonly code: ErrorCode;
}

/** One reading of all files, as administrators see it. */
export interface Scrub {
  readonly id: string;
  readonly state: JobState;
  readonly progress: JobProgress;
  readonly bytes: number;
  readonly failures: readonly ScrubFailure[];
  readonly createdAt: number;
  readonly finishedAt: number | undefined;
}

export const scrubOf = (job: Job): Scrub => ({
  id: job.id,
  state: job.state,
  progress: job.progress,
  bytes: numberOf(job.data, 'bytes'),
  failures: failuresOf(job.data),
  createdAt: job.createdAt,
  finishedAt: job.finishedAt,
});

/** Where a scrub stands and what it found, between two saves of its job. */
export class Tally {
  /** Where the page of rows begins, empty at the start, and the last file of it that was read. */
  position: string;
  last: string;
  bytes: number;
  done: number;
  failed: number;
  readonly #failures: ScrubFailure[];
  #savedBytes: number;

  constructor(private readonly job: RunningJob) {
    this.position = textOf(job.data, 'position');
    this.last = textOf(job.data, 'last');
    this.bytes = this.#savedBytes = numberOf(job.data, 'bytes');
    this.done = job.progress.done;
    this.failed = job.progress.failed;
    this.#failures = [...failuresOf(job.data)];
  }

  get unsavedBytes(): number {
    return this.bytes - this.#savedBytes;
  }

  name(failures: readonly ScrubFailure[]): void {
    this.#failures.push(...failures.slice(0, MOST_NAMED - this.#failures.length));
  }

  /** @throws LeaseLost */
  async save(total = this.job.progress.total): Promise<void> {
    await this.job.save(this.#change(total));
    this.#savedBytes = this.bytes;
  }

  #change(total: number): JobChange {
    const { position, last, bytes, done, failed } = this;
    const data = { position, last, bytes, failures: JSON.stringify(this.#failures) };
    return { data, progress: { total: Math.max(total, done + failed), done, failed } };
  }
}

const textOf = (data: JobData, field: string): string => (typeof data[field] === 'string' ? data[field] : '');
const numberOf = (data: JobData, field: string): number => (typeof data[field] === 'number' ? data[field] : 0);
const failuresOf = (data: JobData): readonly ScrubFailure[] =>
  JSON.parse(textOf(data, 'failures') || '[]') as ScrubFailure[];
