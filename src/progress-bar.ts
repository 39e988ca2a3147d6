/**
 * How far a job is, as one line of `width` columns at most: `[#####     ]  50%  1200 of 2400, 3 in quarantine`. On a narrow terminal the bar goes
 * first and the words stay.
 */
export function progressLine(done: number, total: number, failed: number, width: number): string {
  const share = total === 0 ? 1 : Math.min(1, (done + failed) / total);
  const words = `${String(Math.floor(share * 100)).padStart(3)}%  ${done} of ${total}${failed === 0 ? '' : `, ${failed} in quarantine`}`;
  const columns = Math.min(40, width - words.length - 3);
  if (columns < 5) return words.slice(0, Math.max(0, width));
  const filled = Math.floor(share * columns);
  return `[${'#'.repeat(filled)}${' '.repeat(columns - filled)}] ${words}`;
}

/** Shows progress on a stream: a bar that moves on a terminal, elsewhere a line at each percent. */
export class ProgressBar {
  #shown = '';

  constructor(private readonly out: NodeJS.WriteStream) {}

  show({ done, total, failed }: { readonly done: number; readonly total: number; readonly failed: number }): void {
    const line = progressLine(done, total, failed, this.out.isTTY ? this.out.columns - 1 : 100);
    if (line === this.#shown || (!this.out.isTTY && percent(line) === percent(this.#shown))) return;
    this.out.write(this.out.isTTY ? `\r${line.padEnd(this.#shown.length)}` : `${line}\n`);
    this.#shown = line;
  }

  /** Leaves the bar where it is: what is written next begins a line of its own. */
  end(): void {
    if (this.out.isTTY && this.#shown !== '') this.out.write('\n');
  }
}

const percent = (line: string): string | undefined => /\d+%/.exec(line)?.[0];
