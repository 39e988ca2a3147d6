import { Injectable } from '@nestjs/common';
import { isGone, newLeaseOwner } from '../../jobs';

/** This process, as it signs the rows that it works on. */
@Injectable()
export class ProcessIdentity {
  readonly id = newLeaseOwner();

  /**
   * True where the process that works on a row is known to be gone. False where it may run on
   * another host.
   */
  isGone(row: { readonly worker?: string | undefined }): boolean {
    return row.worker !== undefined && isGone(row.worker, this.id);
  }
}

export interface KeepaliveOptions {
  readonly everyMs: number;
  /** Writes a sign of life to the row. False where the row is no longer this writer's. */
  readonly beat: () => Promise<boolean>;
  /** Called after a beat that returned false. */
  readonly onLost?: () => void;
}

/** Tells other processes that an upload is alive, and notices when they have taken it away. */
export class Keepalive {
  readonly #timer: NodeJS.Timeout;
  readonly #options: KeepaliveOptions;
  #beating: Promise<void> | undefined;
  #lost = false;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#beatOnce(), options.everyMs);
    this.#timer.unref();
  }

  get isLost(): boolean {
    return this.#lost;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beatOnce(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => (this.#beating = undefined));
    return this.#beating;
  }

  // A store that fails now may succeed at the next beat: sweepers wait for several of them.
  async #beat(): Promise<void> {
    try {
      if (await this.#options.beat()) return;
    } catch {
      return;
    }
    this.#lost = true;
    this.#options.onLost?.();
  }
}
