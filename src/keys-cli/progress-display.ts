import type { Rotation } from '../keys/rotation';
import { progressLine } from '../progress-bar';

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

  show({ done, total, failed, state }: Pick<Rotation, 'done' | 'total' | 'failed' | 'state'>): void {
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
