import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { CONFIG, Config } from '../../../config';
import { JobBusy, JobRunner, JobState, Scheduler } from '../../../jobs';
import { AuditSink, Clock, DAY, DomainError, HOUR, audited, isDomainError } from '../../../kernel';
import { Collection, ListOptions, Position, Store } from '../../../store';
import { FileDoc, fileCollection } from '../../model/file.collection';
import { SCRUB_JOB, Scrub, scrubOf } from './scrub';

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

  /** Stops it before its next read; its place stays taken. @throws DomainError `not_found`; `conflict` where it has ended. */
  pause(id: string): Promise<Scrub> {
    return this.move(id, 'paused', () => this.jobs.pause(id));
  }

  /** @throws DomainError `not_found`; `conflict` where it has ended. */
  resume(id: string): Promise<Scrub> {
    return this.move(id, 'running', () => this.jobs.resume(id));
  }

  private async move(id: string, wanted: JobState, move: () => Promise<boolean>): Promise<Scrub> {
    await this.find(id);
    const moved = await move();
    const now = await this.find(id);
    if (moved || now.state === wanted) return now;
    throw new DomainError('conflict', { detail: 'The scrub has ended.' });
  }
}

const SCHEDULE = 'system:scrub-schedule';

/** Begins a scrub SCRUB_DAYS after the last one began; the first one when the oldest file is that old. */
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
    const since = (await this.lastBegun()) ?? (await this.oldestFile());
    if (since === undefined || this.clock.now() - since < this.config.scrub.days * DAY) return;
    try {
      await audited(this.audit, { action: 'scrub.start', actor: SCHEDULE }, () => this.scrubs.start(SCHEDULE));
    } catch (error) {
      // One that an administrator began a moment ago serves as well.
      if (!isDomainError(error, 'conflict')) throw error;
    }
  }

  private async lastBegun(): Promise<number | undefined> {
    return (await this.scrubs.list({ limit: 1 })).items[0]?.createdAt;
  }

  /** Ids are in the order of time. */
  private async oldestFile(): Promise<number | undefined> {
    return (await this.#files.list('_id', [], { limit: 1, onTampered: () => undefined })).items[0]?.created_at;
  }
}
