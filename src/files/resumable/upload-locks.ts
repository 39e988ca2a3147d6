import { Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { UploadLocked } from '../../http';
import { Clock, DomainError, SECOND, Unchanged, failpoint } from '../../kernel';
import { Collection, Store, update } from '../../store';
import { ProcessIdentity } from '../content/keepalive';
import { atRest, hasTooManyChunks, uploadNotFound, wrongOffset } from './upload';
import { UploadDoc, uploadCollection } from './upload.collection';

/** An attempt that moved within this time is alive, and keeps its upload. */
export const HUNG_AFTER = 6 * SECOND;

/** The last sign of life of the attempt that runs. */
export const lifeSign = (row: UploadDoc): string => `${row.running ?? ''} ${row.touched_at ?? ''}`;

/** `unclear`: not watched for long enough to say whether it moves or hangs. */
export type AttemptState = 'none' | 'gone' | 'moves' | 'unclear' | 'hung';

/** The attempts of this process: it knows when they moved. */
export class OwnAttempts {
  readonly #moved: Unchanged;

  constructor(clock: Clock) {
    this.#moved = new Unchanged(clock);
  }

  moved(row: UploadDoc): void {
    this.#moved.ms(row._id, lifeSign(row));
  }

  silentMs(row: UploadDoc): number {
    return this.#moved.ms(row._id, lifeSign(row));
  }

  end(uploadId: string): void {
    this.#moved.forget(uploadId);
  }
}

/**
 * Watches an upload until it is clear whether its attempt moves. The clock of another process
 * proves nothing: "a moment ago" is believed, which harms nobody, and else this process waits for a
 * sign of life.
 */
export class AttemptWatch {
  readonly #seen: Unchanged;
  #first: string | undefined;

  constructor(
    private readonly own: OwnAttempts,
    private readonly worker: ProcessIdentity,
    private readonly clock: Clock,
  ) {
    this.#seen = new Unchanged(clock);
  }

  stateOf(row: UploadDoc): AttemptState {
    if (row.running === undefined) return 'none';
    if (this.worker.isGone(row)) return 'gone';
    if (row.close_asked === row.running) return 'hung';
    if (row.worker === this.worker.id) return this.own.silentMs(row) >= HUNG_AFTER ? 'hung' : 'moves';
    this.#first ??= lifeSign(row);
    const age = this.clock.now() - (row.touched_at ?? 0);
    if (this.#first !== lifeSign(row) || (age >= 0 && age < HUNG_AFTER)) return 'moves';
    return this.#seen.ms(row._id, lifeSign(row)) >= HUNG_AFTER ? 'hung' : 'unclear';
  }
}

/** How long an attempt that hangs may take to end with what came, before it loses its upload. */
const PATIENCE = 5 * SECOND;
const POLL = 100;

/** What an attempt wants to do. */
export interface AttemptStart {
  readonly offset: number;
  /** Whether it may bring all of the content, without a checksum. */
  readonly mayBeWhole: boolean;
}

/** A request that waits for the attempt of another one. */
interface Waiting {
  readonly watch: AttemptWatch;
  /** `Clock.elapsed` when it first saw that the attempt hangs. */
  hungSince: number | undefined;
}

/** The one attempt that may be counted next. */
export interface Attempt {
  readonly number: number;
  readonly upload: UploadDoc;
  /** The attempt that lost the upload to this one. */
  readonly preempted: number | undefined;
}

/**
 * One attempt at a time on an upload, over all processes: by compare-and-set the row names the
 * number of the attempt that may be counted. A writer that slept counts for nothing when it wakes
 * up.
 */
@Injectable()
export class UploadLocks {
  readonly #rows: Collection<UploadDoc>;
  readonly #own: OwnAttempts;

  constructor(
    store: Store,
    private readonly worker: ProcessIdentity,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(uploadCollection);
    this.#own = new OwnAttempts(clock);
  }

  /**
   * Begins an attempt. Asks one that hangs to end, so that its bytes are kept, and preempts it
   * where it does not.
   * @throws UploadLocked while another one moves; DomainError `conflict` for a wrong offset,
   * `not_found`.
   */
  async begin(uploadId: string, start: AttemptStart): Promise<Attempt> {
    const waiting: Waiting = { watch: this.#watch(), hungSince: undefined };
    for (;;) {
      const begun = await this.#tryBegin(uploadId, start, waiting);
      if (begun !== undefined) {
        this.#own.moved(begun.upload);
        failpoint('upload.attempt-begun');
        return begun;
      }
      await sleep(POLL);
    }
  }

  /** The row once an attempt that hangs has ended with what came, or as it is after a while. */
  async settled(row: UploadDoc): Promise<UploadDoc> {
    const waiting: Waiting = { watch: this.#watch(), hungSince: undefined };
    let current: UploadDoc | undefined = row;
    while (current !== undefined && this.#mayEnd(current, waiting)) {
      await this.#askToClose(current._id, waiting);
      await sleep(POLL);
      current = await this.#rows.find('_id', row._id);
    }
    if (current === undefined) throw uploadNotFound();
    return current;
  }

  /** The attempt of this process on the upload is over. */
  end(uploadId: string): void {
    this.#own.end(uploadId);
  }

  /**
   * Records that an attempt moves. @returns whether it is still current, and whether it was asked
   * to end.
   */
  async touch(uploadId: string, attempt: number, moved: boolean): Promise<'held' | 'closing' | 'lost'> {
    const row = await update(this.#rows, uploadId, (current) =>
      moved && current.running === attempt ? { ...current, touched_at: this.clock.now() } : undefined,
    );
    if (row?.running !== attempt) return 'lost';
    if (moved) this.#own.moved(row);
    return row.close_asked === attempt ? 'closing' : 'held';
  }

  /**
   * Ends an attempt that is not counted, where `applies` to the row as it is now. @returns the row
   * then, where there is one.
   */
  async release(
    uploadId: string,
    attempt: number,
    applies: (row: UploadDoc) => boolean = () => true,
  ): Promise<UploadDoc | undefined> {
    return update(this.#rows, uploadId, (row) => (row.running === attempt && applies(row) ? atRest(row) : undefined));
  }

  async #tryBegin(uploadId: string, start: AttemptStart, waiting: Waiting): Promise<Attempt | undefined> {
    const outcome: { preempted?: number | undefined; begun: boolean } = { begun: false };
    const row = await update(this.#rows, uploadId, (current) => {
      checkStart(current, start);
      const { running } = current;
      outcome.preempted = running;
      const state = waiting.watch.stateOf(current);
      if (state === 'moves') throw new UploadLocked();
      outcome.begun = state === 'none' || state === 'gone' || (state === 'hung' && this.#isImpatient(waiting));
      if (outcome.begun) return this.#started(current, start);
      return state === 'hung' ? asked(current) : undefined;
    });
    if (row === undefined) throw uploadNotFound();
    return outcome.begun ? { number: row.attempts, upload: row, preempted: outcome.preempted } : undefined;
  }

  #started(row: UploadDoc, { offset, mayBeWhole }: AttemptStart): UploadDoc {
    const attempts = row.attempts + 1;
    return {
      ...atRest(row),
      attempts,
      running: attempts,
      touched_at: this.clock.now(),
      worker: this.worker.id,
      unnumbered: row.unnumbered || (attempts === 1 && offset === 0 && mayBeWhole),
    };
  }

  #watch(): AttemptWatch {
    return new AttemptWatch(this.#own, this.worker, this.clock);
  }

  /** Whether the attempt hangs, or may do so, and has time left to end. */
  #mayEnd(row: UploadDoc, waiting: Waiting): boolean {
    const state = waiting.watch.stateOf(row);
    return state === 'unclear' || (state === 'hung' && !this.#isImpatient(waiting));
  }

  async #askToClose(uploadId: string, { watch }: Waiting): Promise<void> {
    await update(this.#rows, uploadId, (row) => (watch.stateOf(row) === 'hung' ? asked(row) : undefined));
  }

  /** Whether the time is over that an attempt had since this request saw it hang. */
  #isImpatient(waiting: Waiting): boolean {
    waiting.hungSince ??= this.clock.elapsed();
    return this.clock.elapsed() - waiting.hungSince > PATIENCE;
  }
}

function asked(row: UploadDoc): UploadDoc | undefined {
  return row.running === undefined || row.close_asked === row.running
    ? undefined
    : { ...row, close_asked: row.running };
}

function checkStart(row: UploadDoc, { offset }: AttemptStart): void {
  if (row.state === 'new' || row.state === 'ended') throw uploadNotFound();
  if (row.state !== 'open' || row.offset !== offset) throw wrongOffset();
  if (hasTooManyChunks(row)) {
    throw new DomainError('validation_failed', { detail: 'The upload has too many chunks of different sizes.' });
  }
}
