import { Inject, Injectable, Logger, OnModuleInit, Optional } from '@nestjs/common';
import { CONFIG, Config } from '../../../config';
import { JobRunner, LeaseLost, RunningJob, pauseFor } from '../../../jobs';
import { AuditSink, Clock, DAY, SECOND, failpoint } from '../../../kernel';
import { Metrics } from '../../../observability';
import { FileScrubber, OnBytes } from './file-scrubber';
import { SCRUB_JOB, ScrubFailure, Tally } from './scrub.service';

/** Below this a wait costs more than it slows down. */
const SHORTEST_WAIT = 20;

/**
 * Waits so that no more than so many bytes a second are spent. Time that was not used is lost: it
 * is no credit for a burst.
 */
export class ByteRate {
  #free = 0;

  constructor(
    private readonly bytesPerSecond: number,
    private readonly now: () => number,
    private readonly pause: (ms: number) => Promise<void>,
  ) {}

  async spend(bytes: number): Promise<void> {
    const now = this.now();
    this.#free = Math.max(this.#free, now) + (bytes / this.bytesPerSecond) * SECOND;
    if (this.#free - now >= SHORTEST_WAIT) await this.pause(this.#free - now);
  }
}

const MIB = 1024 * 1024;
const PAGE = 50;
/**
 * What a small file costs at least, so that millions of them do not come at the rate of the
 * processor.
 */
const LEAST_BYTES = 64 * 1024;
/** Read again after a crash at most, besides the file that was in work. */
const SAVED_EACH = 64 * MIB;
/** A year and more, as who audits once a year wants to see. */
const KEPT_MS = 400 * DAY;
const ACTOR = `system:${SCRUB_JOB}`;

/**
 * Reads every file through at a bounded rate. A file that is damaged is reported by its id, and the
 * reading goes on. Where keys or the store do not answer it waits: the runner calls it again, and
 * it goes on behind the last file that it saved.
 */
@Injectable()
export class ScrubJob implements OnModuleInit {
  readonly #logger = new Logger('scrub');

  constructor(
    private readonly jobs: JobRunner,
    private readonly files: FileScrubber,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
    @Optional() private readonly metrics?: Metrics,
  ) {}

  onModuleInit(): void {
    // The schedule asks for the last one.
    const keptMs = Math.max(KEPT_MS, 2 * this.config.scrub.days * DAY);
    this.jobs.register(SCRUB_JOB, (job) => this.run(job), { keptMs });
  }

  async run(job: RunningJob): Promise<void> {
    const tally = new Tally(job);
    if (job.progress.total === 0) await tally.save(await this.files.count());
    try {
      await this.#readAll(job, tally);
    } catch (error) {
      if (!(error instanceof LeaseLost)) await tally.save();
      throw error;
    }
    await tally.save(tally.done + tally.failed);
    this.metrics?.setScrubFinished(this.clock.now());
    if (tally.failed > 0)
      this.#logger.error({
        scrub: job.id,
        damaged: tally.failed,
        msg: 'a scrub found damaged files (GET /scrubs/{id})',
      });
    const details = { scrub: job.id, files: tally.done + tally.failed, failed: tally.failed, bytes: tally.bytes };
    this.audit.note({ action: 'scrub.finished', actor: ACTOR, resource: `scrub/${job.id}`, details }, 'done');
  }

  async #readAll(job: RunningJob, tally: Tally): Promise<void> {
    const spend = this.#spender(job);
    for (;;) {
      const page = await this.files.page(tally.position, PAGE);
      for (const id of page.ids.filter((each) => each > tally.last)) {
        await this.#readFile(job, tally, id, spend);
        tally.last = id;
        failpoint('scrub.file');
        if (tally.unsavedBytes >= SAVED_EACH) await tally.save();
      }
      if (page.next === undefined) return;
      tally.position = page.next;
      await tally.save();
    }
  }

  async #readFile(job: RunningJob, tally: Tally, id: string, spend: OnBytes): Promise<void> {
    await spend(LEAST_BYTES);
    const found = await this.files.read(id, spend);
    if (found === undefined) return;
    const failed = found.failures.length > 0;
    tally.bytes += found.bytes;
    if (failed) tally.failed += 1;
    else tally.done += 1;
    tally.name(found.failures);
    this.metrics?.countScrubbed(found.bytes, failed);
    for (const failure of found.failures) this.#report(job, failure);
  }

  #spender(job: RunningJob): OnBytes {
    const pause = (ms: number): Promise<void> => pauseFor(ms, job.signal);
    const rate = new ByteRate(this.config.scrub.bytesPerSecond, () => performance.now(), pause);
    return async (bytes) => {
      await rate.spend(bytes);
      if (job.signal.aborted) throw new LeaseLost(job.id);
    };
  }

  #report(job: RunningJob, { file_id, version, code }: ScrubFailure): void {
    this.#logger.error({ resource: `file/${file_id}`, version, code, scrub: job.id, msg: 'stored data is damaged' });
    const what = { action: 'file.damaged', actor: ACTOR, resource: `file/${file_id}` } as const;
    this.audit.note({ ...what, details: { scrub: job.id, version, code } }, 'failed');
  }
}
