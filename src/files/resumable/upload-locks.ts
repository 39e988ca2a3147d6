import { Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { UploadLocked } from '../../http';
import { Clock, DomainError, SECOND, failpoint } from '../../kernel';
import { Collection, Store, update } from '../../store';
import { ProcessIdentity } from '../content/process-identity';
import { AttemptWatch, OwnAttempts } from './attempt-watch';
import { atRest, hasTooManyPieces, uploadNotFound, wrongOffset } from './upload';
import { UploadDoc, uploadCollection } from './upload.collection';

/** How long one that hangs is given to end with what came, before its upload is taken from it. */
const PATIENCE = 5 * SECOND;
const POLL = 100;

/** What an attempt wants to do. */
export interface AttemptStart {
  readonly offset: number;
  /** Whether it brings all of the content, if it comes through, and needs no proof for it. */
  readonly mayBeWhole: boolean;
}

/** A call that waits for the attempt of another one. */
interface Waiting {
  readonly watch: AttemptWatch;
  /** `Clock.elapsed` when it first saw that the attempt hangs. */
  hungSince: number | undefined;
}

/** The one attempt that may be counted next. */
export interface Attempt {
  readonly number: number;
  readonly upload: UploadDoc;
  /** The attempt from which it was taken. */
  readonly superseded: number | undefined;
}

/**
 * One attempt at a time on an upload, over all processes: the row names the attempt that may be counted, by compare-and-set, and each one has
 * a number of its own. So a writer that slept, or was held for dead, counts for nothing when it wakes up.
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
   * Begins an attempt. One that hangs is asked to end first, so that what it got is kept; where it does not, it is superseded.
   * @throws UploadLocked while another one moves; DomainError `conflict` for a wrong offset, `not_found`.
   */
  async begin(uploadId: string, start: AttemptStart): Promise<Attempt> {
    const waiting: Waiting = { watch: this.watch(), hungSince: undefined };
    for (;;) {
      const begun = await this.tryBegin(uploadId, start, waiting);
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
    const waiting: Waiting = { watch: this.watch(), hungSince: undefined };
    let current: UploadDoc | undefined = row;
    while (current !== undefined && this.mayEnd(current, waiting)) {
      await this.askToClose(current._id, waiting);
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

  /** Says that an attempt moves. @returns whether it is still the one that may be counted, and whether it was asked to end. */
  async touch(uploadId: string, attempt: number, moved: boolean): Promise<'held' | 'closing' | 'lost'> {
    const row = await update(this.#rows, uploadId, (current) =>
      moved && current.running === attempt ? { ...current, touched_at: this.clock.now() } : undefined,
    );
    if (row?.running !== attempt) return 'lost';
    if (moved) this.#own.moved(row);
    return row.close_asked === attempt ? 'closing' : 'held';
  }

  /** Ends an attempt that is not counted, where `applies` to the row as it is now. @returns the row then, where there is one. */
  async release(
    uploadId: string,
    attempt: number,
    applies: (row: UploadDoc) => boolean = () => true,
  ): Promise<UploadDoc | undefined> {
    return update(this.#rows, uploadId, (row) => (row.running === attempt && applies(row) ? atRest(row) : undefined));
  }

  private async tryBegin(uploadId: string, start: AttemptStart, waiting: Waiting): Promise<Attempt | undefined> {
    const outcome: { superseded?: number | undefined; begun: boolean } = { begun: false };
    const row = await update(this.#rows, uploadId, (current) => {
      checkStart(current, start);
      const { running } = current;
      outcome.superseded = running;
      const state = waiting.watch.stateOf(current);
      if (state === 'moves') throw new UploadLocked();
      outcome.begun = state === 'none' || state === 'gone' || (state === 'hung' && this.isImpatient(waiting));
      if (outcome.begun) return this.started(current, start);
      return state === 'hung' ? asked(current) : undefined;
    });
    if (row === undefined) throw uploadNotFound();
    return outcome.begun ? { number: row.attempts, upload: row, superseded: outcome.superseded } : undefined;
  }

  private started(row: UploadDoc, { offset, mayBeWhole }: AttemptStart): UploadDoc {
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

  private watch(): AttemptWatch {
    return new AttemptWatch(this.#own, this.worker, this.clock);
  }

  /** Whether the attempt hangs, or may do so, and there is patience left for its end. */
  private mayEnd(row: UploadDoc, waiting: Waiting): boolean {
    const state = waiting.watch.stateOf(row);
    return state === 'unclear' || (state === 'hung' && !this.isImpatient(waiting));
  }

  private async askToClose(uploadId: string, { watch }: Waiting): Promise<void> {
    await update(this.#rows, uploadId, (row) => (watch.stateOf(row) === 'hung' ? asked(row) : undefined));
  }

  /** Whether an attempt that hangs was given its time since this call saw that. */
  private isImpatient(waiting: Waiting): boolean {
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
  if (hasTooManyPieces(row)) {
    throw new DomainError('validation_failed', { detail: 'The upload has too many chunks of different sizes.' });
  }
}
