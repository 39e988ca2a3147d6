import { SECOND } from '../../../kernel/index';

/** Below this a wait costs more than it slows down. */
const SHORTEST_WAIT = 20;

/** Waits so that no more than so many bytes a second are spent. Time that was not used is lost: it is no credit for a burst. */
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
