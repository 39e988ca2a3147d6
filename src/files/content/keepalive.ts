import { ChunkBatch, DomainError, SECOND } from '../../kernel/index';
import { Collection, update } from '../../store/index';
import { FileDoc } from '../model/file.collection';

const INTERVAL = 20 * SECOND;

/** The row with a sign of life of one content; undefined where nobody waits for that any more. */
export type KeepaliveTouch = (row: FileDoc, now: number) => FileDoc | undefined;

const touchPending: KeepaliveTouch = (row, now) =>
  row.state === 'pending' ? { ...row, heartbeat_at: now } : undefined;

/** Keeps an upload alive while its content comes: the sweeper removes those that nobody keeps. */
export class Keepalive {
  #lost: DomainError | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(
    private readonly files: Collection<FileDoc>,
    private readonly fileId: string,
    private readonly now: () => number,
    private readonly touch: KeepaliveTouch = touchPending,
  ) {
    this.#timer = setInterval(() => void this.beat(), INTERVAL);
    this.#timer.unref();
  }

  /** Passes the bursts on, and ends them as soon as the upload has been given up by others: nobody would see what comes after. */
  async *guard(content: AsyncIterable<ChunkBatch>): AsyncGenerator<ChunkBatch, void> {
    for await (const burst of content) {
      if (this.#lost !== undefined) throw this.#lost;
      yield burst;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  // A store that does not answer now may answer at the next beat: the sweeper is patient for several of them.
  private async beat(): Promise<void> {
    const seen = { alive: false };
    try {
      await update(this.files, this.fileId, (row) => {
        const touched = this.touch(row, this.now());
        seen.alive = touched !== undefined;
        return touched;
      });
      if (!seen.alive) this.#lost = uploadGone();
    } catch {
      return;
    }
  }
}

export const uploadGone = (): DomainError => new DomainError('conflict', { detail: 'The upload timed out.' });
