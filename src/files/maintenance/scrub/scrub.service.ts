import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { CONFIG, Config } from '../../../config';
import {
  Job,
  JobBusy,
  JobChange,
  JobData,
  JobProgress,
  JobRunner,
  JobState,
  RunningJob,
  Scheduler,
} from '../../../jobs';
import { AuditSink, Clock, DAY, DomainError, ErrorCode, HOUR, audited, isDomainError } from '../../../kernel';
import { Collection, ListOptions, Position, Store } from '../../../store';
import { FileDoc, fileCollection } from '../../model/file.collection';

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

export interface ScrubPage {
  readonly items: readonly Scrub[];
  readonly next: Position | undefined;
}

/** Scrubs as administrators begin, see, stop and continue them: one at a time over all replicas. */
@Injectable()
export class Scrubs {
  constructor(private readonly jobs: JobRunner) {}

  /** @throws DomainError `conflict` with `scrub_id` where one is under way or paused. */
  async start(requestedBy: string): Promise<Scrub> {
    try {
      return scrubOf(await this.jobs.start(SCRUB_JOB, { requested_by: requestedBy }));
    } catch (error) {
      if (!(error instanceof JobBusy)) throw error;
      throw new DomainError('conflict', {
        detail: 'A scrub is already running.',
        extensions: { scrub_id: error.job.id },
      });
    }
  }

  /** @throws DomainError `not_found`. */
  async find(id: string): Promise<Scrub> {
    const job = await this.jobs.find(id);
    if (job?.kind !== SCRUB_JOB) throw new DomainError('not_found');
    return scrubOf(job);
  }

  /** Newest first. */
  async list(options: Omit<ListOptions, 'reverse'>): Promise<ScrubPage> {
    const page = await this.jobs.list(SCRUB_JOB, { ...options, reverse: true });
    return { items: page.items.map(scrubOf), next: page.next };
  }

  /**
   * Stops it before its next read; its place stays taken.
   * @throws DomainError `not_found`; `conflict` where it has ended.
   */
  pause(id: string): Promise<Scrub> {
    return this.#move(id, 'paused', () => this.jobs.pause(id));
  }

  /** @throws DomainError `not_found`; `conflict` where it has ended. */
  resume(id: string): Promise<Scrub> {
    return this.#move(id, 'running', () => this.jobs.resume(id));
  }

  async #move(id: string, wanted: JobState, move: () => Promise<boolean>): Promise<Scrub> {
    await this.find(id);
    const moved = await move();
    const now = await this.find(id);
    if (moved || now.state === wanted) return now;
    throw new DomainError('conflict', { detail: 'The scrub has ended.' });
  }
}

const SCHEDULE = 'system:scrub-schedule';

/**
 * Begins a scrub SCRUB_DAYS after the last one began; the first one when the oldest file is that
 * old.
 */
@Injectable()
export class ScrubSchedule implements OnModuleInit {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    @Inject(CONFIG) private readonly config: Config,
    private readonly scheduler: Scheduler,
    private readonly scrubs: Scrubs,
    private readonly clock: Clock,
    private readonly audit: AuditSink,
  ) {
    this.#files = store.collection(fileCollection);
  }

  onModuleInit(): void {
    if (this.config.scrub.days > 0) this.scheduler.every('files.scrub', HOUR, () => this.startIfDue());
  }

  async startIfDue(): Promise<void> {
    const since = (await this.#lastBegun()) ?? (await this.#oldestFile());
    if (since === undefined || this.clock.now() - since < this.config.scrub.days * DAY) return;
    try {
      await audited(this.audit, { action: 'scrub.start', actor: SCHEDULE }, () => this.scrubs.start(SCHEDULE));
    } catch (error) {
      // One that an administrator began a moment ago serves as well.
      if (!isDomainError(error, 'conflict')) throw error;
    }
  }

  async #lastBegun(): Promise<number | undefined> {
    return (await this.scrubs.list({ limit: 1 })).items[0]?.createdAt;
  }

  /** Ids are in the order of time. */
  async #oldestFile(): Promise<number | undefined> {
    return (await this.#files.list('_id', [], { limit: 1, onTampered: () => undefined })).items[0]?.created_at;
  }
}
