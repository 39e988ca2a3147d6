import type { Collection } from '../../store';
import type { UserKeyDoc } from './user-keys.collection';

/** In the order in which a rotation takes them: rows that were never refused, then those that an earlier target put into quarantine. */
const STAGES = [
  { index: 'due', prefix: [false] },
  { index: 'quarantine', prefix: [] },
] as const;

/** One walk over the rows that a rotation still has to wrap again, oldest master version first. Rows that come due behind it are for the next walk. */
export class DueUserKeys {
  /** Ids of rows that do not hold their seal, met so far. */
  readonly forged: string[] = [];
  #stage = 0;
  #after: string | undefined;

  constructor(
    private readonly rows: Collection<UserKeyDoc>,
    private readonly target: number,
  ) {}

  /** At most `limit` rows; none at the end of the walk. */
  async next(limit: number): Promise<readonly UserKeyDoc[]> {
    for (;;) {
      const stage = STAGES[this.#stage];
      if (stage === undefined) return [];
      const position = this.#after === undefined ? {} : { after: this.#after };
      const onForged = (id: string): void => void this.forged.push(id);
      const page = await this.rows.list(stage.index, stage.prefix, { limit, onForged, ...position });
      const due = page.items.filter((row) => this.#isDue(row, stage.index));
      // Index order: behind the first row that is not due there is none that is.
      const isEnd = page.next === undefined || due.length < page.items.length;
      if (isEnd) this.#stage += 1;
      this.#after = isEnd ? undefined : page.next;
      if (due.length > 0) return due;
    }
  }

  #isDue(row: UserKeyDoc, index: 'due' | 'quarantine'): boolean {
    const handled = index === 'due' ? row.master_version : row.quarantine_target;
    return (handled ?? this.target) < this.target;
  }
}
