const SHORTEST_BAR = 10;

/**
 * One line of at most `width` columns, as `[#####---------------] 25 % 300 of 1200, 2 failed`. What
 * has failed is not waited for and counts for the bar. Narrower than the words are, it is the words
 * alone.
 */
export function progressLine(done: number, total: number, failed: number, width: number): string {
  const share = total === 0 ? 0 : Math.min(1, (done + failed) / total);
  const percent = `${Math.floor(share * 100)}`.padStart(3);
  const words = `${percent} %  ${done} of ${total}${failed === 0 ? '' : `, ${failed} failed`}`;
  const columns = Math.min(50, width - words.length - 3);
  if (columns < SHORTEST_BAR) return words.trimStart();
  const filled = Math.floor(share * columns);
  return `[${'#'.repeat(filled)}${'-'.repeat(columns - filled)}] ${words}`;
}

/** What the display shows of a job or a rotation. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  readonly state: string;
}

/** As much of a terminal, or of a file or pipe, as progress needs. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const USUAL_COLUMNS = 80;
const ERASE_LINE = '\r\u001b[K';

/** One line that changes in place on a terminal; a line for each change elsewhere. */
export class ProgressDisplay {
  #shown = '';

  constructor(private readonly output: Output) {}

  show({ done, total, failed, state }: Progress): void {
    const suffix = state === 'paused' ? '  paused' : '';
    const width = (this.output.columns ?? USUAL_COLUMNS) - suffix.length - 1;
    const line = progressLine(done, total, failed, this.output.isTTY === true ? width : 0) + suffix;
    if (line === this.#shown) return;
    this.#shown = line;
    this.output.write(this.output.isTTY === true ? `${ERASE_LINE}${line}` : `${line}\n`);
  }

  /** Leaves what was shown last, and the terminal at the start of a line. */
  end(): void {
    if (this.output.isTTY === true && this.#shown !== '') this.output.write('\n');
  }
}
