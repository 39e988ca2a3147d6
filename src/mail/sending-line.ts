/** In order of priority: a mail whose request waits for it, a code, a notice. */
export const URGENCIES = ['request', 'code', 'notice'] as const;
export type Urgency = (typeof URGENCIES)[number];

interface Waiting {
  readonly begin: () => void;
  readonly giveUp: () => void;
}

/**
 * Runs a limited number of tasks concurrently: the most urgent first, and in FIFO order within one
 * urgency.
 */
export class SendingLine {
  readonly #waiting: Readonly<Record<Urgency, Set<Waiting>>> = {
    request: new Set(),
    code: new Set(),
    notice: new Set(),
  };
  #running = 0;

  constructor(private readonly atOnce: number) {}

  /** Returns the result of `work`, or undefined if the line was closed before `work` began. */
  async run<T>(urgency: Urgency, work: () => Promise<T>): Promise<T | undefined> {
    if (!(await this.#turn(urgency))) return undefined;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      this.#next();
    }
  }

  /** Cancels all tasks that have not begun. */
  close(): void {
    for (const urgency of URGENCIES) for (const waiting of this.#waiting[urgency]) waiting.giveUp();
  }

  #turn(urgency: Urgency): Promise<boolean> {
    if (this.#running < this.atOnce) {
      this.#running += 1;
      return Promise.resolve(true);
    }
    const line = this.#waiting[urgency];
    return new Promise((resolve) => {
      const end = (hasTurn: boolean): void => {
        line.delete(waiting);
        resolve(hasTurn);
      };
      const waiting: Waiting = { begin: () => end(true), giveUp: () => end(false) };
      line.add(waiting);
    });
  }

  #next(): void {
    for (const urgency of URGENCIES) {
      const [first] = this.#waiting[urgency];
      if (first === undefined) continue;
      this.#running += 1;
      first.begin();
      return;
    }
  }
}
