import { Injectable, OnModuleInit } from '@nestjs/common';
import { Scheduler } from '../../jobs';
import { Clock, ErrorCollector, MINUTE, SECOND, Unchanged } from '../../kernel';
import { Collection, ListOptions, Store } from '../../store';
import { ProcessIdentity } from '../content/process-identity';
import { lifeSign } from './attempt-watch';
import { UploadCompletion } from './upload-assembly';
import { StagedParts } from './staged-parts';
import { hasPart } from './upload';
import { UploadLocks } from './upload-locks';
import { UploadRemoval } from './upload-removal';
import { UploadDoc, uploadCollection } from './upload.collection';

const DEAD_AFTER = 2 * MINUTE;
const BATCH = 100;

/** Rows that the sweeper looks for. */
interface Due {
  readonly index: string;
  readonly prefix?: readonly string[];
  readonly due: (row: UploadDoc) => boolean;
  /** Whether a page in which nothing is due is the last one: not where the order is by times of many clocks. */
  readonly ordered: boolean;
}

/** What the sweeper works with. */
@Injectable()
export class UploadSweepTools {
  constructor(
    readonly removal: UploadRemoval,
    readonly completion: UploadCompletion,
    readonly locks: UploadLocks,
    readonly segments: StagedParts,
    readonly worker: ProcessIdentity,
  ) {}
}

/** Clears away what time and crashes leave of uploads, and goes on with what is whole and nobody works on. */
@Injectable()
export class UploadsSweeper implements OnModuleInit {
  readonly #rows: Collection<UploadDoc>;
  readonly #watch: Unchanged;

  constructor(
    store: Store,
    private readonly tools: UploadSweepTools,
    private readonly scheduler: Scheduler,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(uploadCollection);
    this.#watch = new Unchanged(clock);
  }

  onModuleInit(): void {
    this.scheduler.every('uploads.sweep', 20 * SECOND, () => this.sweep());
  }

  async sweep(): Promise<void> {
    const faults = new ErrorCollector();
    const expired = { index: 'expiry', due: (row: UploadDoc) => this.hasExpired(row), ordered: true };
    const whole = { index: 'state', prefix: ['whole'], due: () => true, ordered: true };
    await faults.run(() => this.sweepDead());
    await faults.run(() => this.each(expired, (row) => this.end(row)));
    await faults.run(() => this.each(whole, (row) => this.tools.completion.begin(row)));
    faults.throwFirst();
  }

  private async sweepDead(): Promise<void> {
    const looked = new Set<string>();
    const due = (row: UploadDoc): boolean => {
      looked.add(row._id);
      return this.isDead(row);
    };
    await this.each({ index: 'touched', due, ordered: false }, (row) => this.clear(row));
    this.#watch.keepOnly(looked);
  }

  /** Silent for so long as this process has seen it, whatever the time of day of whoever works on it. */
  private isDead(row: UploadDoc): boolean {
    if (row.touched_at === undefined) return false;
    return this.#watch.ms(row._id, lifeSign(row)) >= DEAD_AFTER || this.tools.worker.isGone(row);
  }

  /** What a kill left unclosed was never counted. */
  private async clear(row: UploadDoc): Promise<void> {
    if (row.running === undefined) return;
    const current = await this.tools.locks.release(row._id, row.running, (now) => this.isDead(now));
    if (current?.running === row.running) return;
    if (current === undefined || !hasPart(current, row.running)) await this.tools.segments.drop(row, row.running);
  }

  private hasExpired(row: UploadDoc): boolean {
    // Bytes still come: how long one request takes is not what the time is for.
    if (row.running !== undefined && !this.isDead(row)) return false;
    return row.expires_at !== undefined && row.expires_at <= this.clock.now();
  }

  private async end(row: UploadDoc): Promise<void> {
    const ended = row.state === 'ended' ? row : await this.tools.removal.begin(row._id, (now) => this.hasExpired(now));
    if (ended !== undefined) await this.tools.removal.finish(ended);
  }

  /** Rows in the order of an index, page by page, past those that cannot be helped now. */
  private async each({ index, prefix = [], due, ordered }: Due, act: (row: UploadDoc) => Promise<void>): Promise<void> {
    const faults = new ErrorCollector();
    for (let after: string | undefined; ;) {
      const options: ListOptions = { limit: BATCH, onTampered: () => undefined, ...(after !== undefined && { after }) };
      const page = await this.#rows.list(index, prefix, options);
      const rows = page.items.filter(due);
      for (const row of rows) await faults.run(() => act(row));
      if ((rows.length === 0 && ordered) || page.next === undefined) break;
      after = page.next;
    }
    faults.throwFirst();
  }
}
