import { Injectable } from '@nestjs/common';
import { Clock, ErrorCollector, MINUTE, Unchanged, failpoint } from '../../kernel';
import { Collection, ListOptions, Store, update } from '../../store';
import { ProcessIdentity } from '../content/keepalive';
import { FileRemoval } from '../operations/delete-file';
import { StagedParts } from './staged-parts';
import { atRest, hasPart } from './upload';
import { UploadCompletion } from './upload-assembly';
import { UploadLocks, lifeSign } from './upload-locks';
import { UploadDoc, uploadCollection } from './upload.collection';

/**
 * Removes uploads, in an order that may stop anywhere and be resumed: the row's state first, which
 * ends each attempt, then the pending file with its key and its share of the quota, the parts, and
 * the row itself.
 */
@Injectable()
export class UploadRemoval {
  readonly #rows: Collection<UploadDoc>;

  constructor(
    store: Store,
    private readonly files: FileRemoval,
    private readonly parts: StagedParts,
    private readonly locks: UploadLocks,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(uploadCollection);
  }

  /** @returns the row for `finish`; undefined where `applies` is false. */
  async begin(uploadId: string, applies: (row: UploadDoc) => boolean): Promise<UploadDoc | undefined> {
    const outcome = { begun: false };
    const row = await update(this.#rows, uploadId, (current) => {
      outcome.begun = applies(current);
      // Due at once, for the sweeper where this stops half-way.
      return outcome.begun ? { ...atRest(current), state: 'ended' as const, expires_at: this.clock.now() } : undefined;
    });
    failpoint('upload.ended');
    return outcome.begun ? row : undefined;
  }

  /** Completes a removal that `begin` began. Safe to repeat, and for several at once. */
  async finish(upload: UploadDoc): Promise<void> {
    const file = await this.files.begin(upload._id, (row) => row.state === 'pending');
    if (file !== undefined) await this.files.finish(file);
    failpoint('upload.file-removed');
    await this.parts.dropAll(upload._id);
    failpoint('upload.segments-removed');
    await this.#rows.remove(upload._id);
  }

  /** Ends an attempt that `applies`: what a killed process wrote was never counted. */
  async endAttempt(row: UploadDoc, applies: (row: UploadDoc) => boolean): Promise<void> {
    if (row.running === undefined) return;
    const current = await this.locks.release(row._id, row.running, applies);
    if (current?.running === row.running) return;
    if (current === undefined || !hasPart(current, row.running)) await this.parts.drop(row, row.running);
  }
}

const DEAD_AFTER = 2 * MINUTE;
const BATCH = 100;

/** Rows that the sweeper looks for. */
interface Due {
  readonly index: string;
  readonly prefix?: readonly string[];
  readonly due: (row: UploadDoc) => boolean;
  /**
   * Whether a page in which nothing is due is the last one. False for an order by times of many
   * clocks.
   */
  readonly ordered: boolean;
}

/**
 * Removes expired uploads and what crashes leave of attempts, and resumes completions that stopped.
 */
@Injectable()
export class UploadsSweeper {
  readonly #rows: Collection<UploadDoc>;
  readonly #watch: Unchanged;

  constructor(
    store: Store,
    private readonly removal: UploadRemoval,
    private readonly completion: UploadCompletion,
    private readonly worker: ProcessIdentity,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(uploadCollection);
    this.#watch = new Unchanged(clock);
  }

  async sweep(): Promise<void> {
    const faults = new ErrorCollector();
    const expired = { index: 'expiry', due: (row: UploadDoc) => this.#hasExpired(row), ordered: true };
    const whole = { index: 'state', prefix: ['whole'], due: () => true, ordered: true };
    await faults.run(() => this.#sweepDead());
    await faults.run(() => this.#each(expired, (row) => this.#end(row)));
    await faults.run(() => this.#each(whole, (row) => this.completion.begin(row)));
    faults.throwFirst();
  }

  async #sweepDead(): Promise<void> {
    const looked = new Set<string>();
    const due = (row: UploadDoc): boolean => {
      looked.add(row._id);
      return this.#isDead(row);
    };
    await this.#each({ index: 'touched', due, ordered: false }, (row) =>
      this.removal.endAttempt(row, (now) => this.#isDead(now)),
    );
    this.#watch.keepOnly(looked);
  }

  /**
   * By how long this process has seen it silent: the clock of the process that works on it proves
   * nothing.
   */
  #isDead(row: UploadDoc): boolean {
    if (row.touched_at === undefined) return false;
    return this.#watch.ms(row._id, lifeSign(row)) >= DEAD_AFTER || this.worker.isGone(row);
  }

  #hasExpired(row: UploadDoc): boolean {
    // Bytes still come: an upload does not expire during a request.
    if (row.running !== undefined && !this.#isDead(row)) return false;
    return row.expires_at !== undefined && row.expires_at <= this.clock.now();
  }

  async #end(row: UploadDoc): Promise<void> {
    const ended = row.state === 'ended' ? row : await this.removal.begin(row._id, (now) => this.#hasExpired(now));
    if (ended !== undefined) await this.removal.finish(ended);
  }

  /** Rows in the order of an index, page by page, past those that fail. */
  async #each({ index, prefix = [], due, ordered }: Due, act: (row: UploadDoc) => Promise<void>): Promise<void> {
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
