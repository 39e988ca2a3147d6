import { DomainError, SECOND } from '../kernel';
import { Collection, update } from '../store';
import { FileDoc } from './file.collection';

const INTERVAL = 20 * SECOND;

/** Keeps the row of an upload alive while its content comes: the sweeper removes those that nobody keeps. */
export class Heartbeat {
  #lost: DomainError | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(
    private readonly files: Collection<FileDoc>,
    private readonly fileId: string,
    private readonly now: () => number,
  ) {
    this.#timer = setInterval(() => void this.beat(), INTERVAL);
    this.#timer.unref();
  }

  /** Passes the chunks on, and ends them as soon as the upload has been given up by others: nobody would see what comes after. */
  async *guard(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
    for await (const chunk of content) {
      if (this.#lost !== undefined) throw this.#lost;
      yield chunk;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  // A store that does not answer now may answer at the next beat: the sweeper is patient for several of them.
  private async beat(): Promise<void> {
    const alive = (row: FileDoc): FileDoc | undefined =>
      row.state === 'pending' ? { ...row, heartbeat_at: this.now() } : undefined;
    try {
      const row = await update(this.files, this.fileId, alive);
      if (row?.state !== 'pending') this.#lost = uploadGone();
    } catch {
      return;
    }
  }
}

export const uploadGone = (): DomainError =>
  new DomainError('conflict', { detail: 'The upload was given up because nothing was heard of it.' });
