import { SECOND } from '../../kernel';
import { UploadLocks } from './upload-locks';

const INTERVAL = 1.5 * SECOND;

export interface UploadKeepaliveOptions {
  readonly uploadId: string;
  readonly attempt: number;
  /** Whether anything moved since this was last asked. */
  readonly moved: () => boolean;
  /** Called where the attempt is to end: it was asked to, or its upload was taken from it. */
  readonly interrupt: () => void;
}

/** Tells others that an attempt moves, and learns from them that it is to end. */
export class UploadKeepalive {
  readonly #timer: NodeJS.Timeout;
  #finishing = false;
  #beating: Promise<void> | undefined;

  constructor(
    private readonly locks: UploadLocks,
    private readonly options: UploadKeepaliveOptions,
  ) {
    this.#timer = setInterval(() => void this.#once(), INTERVAL);
    this.#timer.unref();
  }

  /** All that came is in: what is still to be done depends on the store, and not on the client. */
  finishing(): void {
    this.#finishing = true;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #once(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => (this.#beating = undefined));
    return this.#beating;
  }

  // A store that does not answer now may answer at the next beat.
  async #beat(): Promise<void> {
    const { uploadId, attempt, moved, interrupt } = this.options;
    try {
      const held = await this.locks.touch(uploadId, attempt, moved() || this.#finishing);
      if (held !== 'held' && !this.#finishing) interrupt();
    } catch {
      return;
    }
  }
}
