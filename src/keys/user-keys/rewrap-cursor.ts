import type { Collection, Position } from '../../store';
import { wrapVersion } from '../master-key';
import { isInVault } from './row-mapping';
import { isConsistent } from './user-key-wraps';
import type { UserKeyDoc } from './user-keys.collection';

/** A walk over the rows of user keys in the order of their ids, which finds those that a rotation still has to wrap again. */
export class RewrapCursor {
  /** Ids of rows that fail MAC verification, met so far. */
  readonly forged: string[] = [];
  /** The lowest master key version that rows need which were not due; Infinity where there are none. */
  lowest = Infinity;
  /** Rows looked at. */
  seen = 0;
  isOver = false;

  constructor(
    private readonly rows: Collection<UserKeyDoc>,
    private readonly target: number,
    /** Behind the last row looked at; undefined before the first and behind the last of all. */
    public position: Position | undefined,
  ) {}

  /** Those that are due of the next `limit` rows. */
  async next(limit: number): Promise<readonly UserKeyDoc[]> {
    const onTampered = (id: string): void => void this.forged.push(id);
    const after = this.position;
    const page = await this.rows.list('_id', [], {
      limit,
      onTampered,
      ...(after !== undefined && { after }),
    });
    this.position = page.next;
    this.isOver = page.next === undefined;
    this.seen += limit;
    return page.items.filter((row) => this.#isDue(row));
  }

  #isDue(row: UserKeyDoc): boolean {
    if (isDue(row, this.target)) return true;
    this.lowest = Math.min(this.lowest, lowestOf(row));
    return false;
  }
}

/** By the wraps where they are in the row, and for a row of Vault by its own words, which may be behind them. */
const lowestOf = ({ versions }: UserKeyDoc): number =>
  Math.min(
    ...versions.map(({ wrapped, master_version }) => Math.min(wrapVersion(wrapped) ?? master_version, master_version)),
  );

function isDue(row: UserKeyDoc, target: number): boolean {
  if (row.versions.length === 0 || (row.quarantine_target ?? 0) >= target) return false;
  const isDoubtful = !isInVault(row) && !row.versions.every(isConsistent);
  return isDoubtful || lowestOf(row) < target || (row.master_version ?? 0) < target;
}
