import { Injectable } from '@nestjs/common';
import { JobBusy, JobRunner, JobState } from '../../../jobs/index';
import { DomainError } from '../../../kernel/index';
import { ListOptions, Position } from '../../../store/index';
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
