import { Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { UploadLocked } from '../../http';
import { Clock, DomainError, SECOND, failpoint } from '../../kernel';
import { Collection, Store, update } from '../../store';
import { FileWorker } from '../file-worker';
import { atRest, hasTooManyPieces, uploadNotFound, wrongOffset } from './upload';
import { UploadDoc, uploadCollection } from './upload.collection';

/** An attempt that moved within this time is alive, and nobody takes its upload away. */
export const HUNG_AFTER = 6 * SECOND;
/** How long one that hangs is given to end with what came, before its upload is taken from it. */
const PATIENCE = 5 * SECOND;
const POLL = 100;

/** What an attempt wants to do. */
export interface AttemptStart {
  readonly offset: number;
  /** Whether it brings all of the content, if it comes through, and needs no proof for it. */
  readonly mayBeWhole: boolean;
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

  constructor(
    store: Store,
    private readonly worker: FileWorker,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(uploadCollection);
  }

  /**
   * Begins an attempt. One that hangs is asked to end first, so that what it got is kept; where it does not, it is superseded.
   * @throws UploadLocked while another one moves; DomainError `conflict` for a wrong offset, `not_found`.
   */
  async begin(uploadId: string, start: AttemptStart): Promise<Attempt> {
    const since = performance.now();
    for (;;) {
      const begun = await this.tryBegin(uploadId, start, performance.now() - since > PATIENCE);
      if (begun !== undefined) {
        failpoint('upload.attempt-begun');
        return begun;
      }
      await sleep(POLL);
    }
  }

  /** The row once an attempt that hangs has ended with what came, or as it is after a while. */
  async settled(row: UploadDoc): Promise<UploadDoc> {
    const since = performance.now();
    let current: UploadDoc | undefined = row;
    while (current !== undefined && this.isHung(current) && performance.now() - since < PATIENCE) {
      await this.askToClose(current._id);
      await sleep(POLL);
      current = await this.#rows.find('_id', row._id);
    }
    if (current === undefined) throw uploadNotFound();
    return current;
  }

  /** Says that an attempt moves. @returns whether it is still the one that may be counted, and whether it was asked to end. */
  async touch(uploadId: string, attempt: number, moved: boolean): Promise<'held' | 'closing' | 'lost'> {
    const row = await update(this.#rows, uploadId, (current) =>
      moved && current.running === attempt ? { ...current, touched_at: this.clock.now() } : undefined,
    );
    if (row?.running !== attempt) return 'lost';
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

  private async tryBegin(uploadId: string, start: AttemptStart, impatient: boolean): Promise<Attempt | undefined> {
    const outcome: { superseded?: number | undefined; begun: boolean } = { begun: false };
    const row = await update(this.#rows, uploadId, (current) => {
      checkStart(current, start);
      const { running } = current;
      outcome.superseded = running;
      outcome.begun = running === undefined || this.isAbandoned(current) || (impatient && this.isHung(current));
      if (outcome.begun) return this.started(current, start);
      if (!this.isHung(current)) throw new UploadLocked();
      return asked(current);
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

  private async askToClose(uploadId: string): Promise<void> {
    await update(this.#rows, uploadId, (row) => (this.isHung(row) ? asked(row) : undefined));
  }

  private isAbandoned(row: UploadDoc): boolean {
    return row.running !== undefined && this.worker.isGone(row);
  }

  private isHung(row: UploadDoc): boolean {
    if (row.running === undefined || this.worker.isGone(row)) return false;
    return row.close_asked === row.running || (row.touched_at ?? 0) + HUNG_AFTER <= this.clock.now();
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
    throw new DomainError('validation_failed', { detail: 'The upload has too many pieces of different sizes.' });
  }
}
