import { Clock, SECOND, Unchanged } from '../../kernel';
import { ProcessIdentity } from '../content/process-identity';
import { UploadDoc } from './upload.collection';

/** An attempt that moved within this time is alive, and nobody takes its upload away. */
export const HUNG_AFTER = 6 * SECOND;

/** The last sign of life of the attempt that runs. */
export const lifeSign = (row: UploadDoc): string => `${row.running ?? ''} ${row.touched_at ?? ''}`;

/** `unclear`: not seen for long enough to say whether it moves or hangs. */
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
 * One look at an upload that lasts until it is clear whether its attempt moves. The time of day of the process that runs it proves nothing:
 * where it says "a moment ago" that is believed, which takes nothing from anybody, and else this process waits for a sign of life.
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
