import { setTimeout as sleep } from 'node:timers/promises';
import { isDomainError } from '../../kernel';
import type { Collection, Position } from '../../store';
import { type ItemResult, wrapVersion } from '../master-key';
import { isInVault, type UserKeyDoc } from './user-keys.collection';
import type { WrapStore } from './wrap-store/wrap-store';
import { isConsistent, lowestMasterVersion } from './wraps';

const PAGE = 200;
/** One request too late among 100,000 is no reason to begin again. */
const LOADS = 4;
const PAUSE_MS = 250;

/** What was met; how many rows, and the first few by name. */
export class NamedRows {
  static readonly SHOWN = 10;
  readonly first: string[] = [];
  count = 0;

  add(id: string): void {
    this.count += 1;
    // Somebody who plants rows chooses their ids.
    if (this.first.length < NamedRows.SHOWN) this.first.push(/^[\w.-]{1,64}$/.test(id) ? id : '(no id of ours)');
  }
}

export interface WrapUse {
  /**
   * Rows with a wrap of the version that was asked for, or of an earlier one. `limit` of them at
   * most.
   */
  readonly count: number;
  /**
   * Rows that fail MAC verification, contradict their wraps, or whose wraps are not to be read: any
   * version may be in use by them.
   */
  readonly doubtful: NamedRows;
}

/**
 * Which rows need a master key version up to `version`: row after row by its id, with its seal, and
 * by what each wrap says of itself, in Vault where the wraps are stored there. No index and no
 * column decides it. Pending rows and quarantine are rows like the others. Ends early at `limit`.
 * @throws DomainError `kms_unavailable`, `store_unavailable`.
 */
export async function wrapsUpTo(
  version: number,
  rows: Collection<UserKeyDoc>,
  wraps: WrapStore,
  limit: number,
): Promise<WrapUse> {
  const doubtful = new NamedRows();
  const onTampered = (id: string): void => doubtful.add(id);
  let count = 0;
  for (let after: Position | undefined; ;) {
    const page = await rows.scan('_id', [], {
      limit: PAGE,
      onTampered,
      ...(after !== undefined && { after }),
    });
    for (const [at, found] of (await complete(wraps, page.items)).entries()) {
      const row = page.items[at];
      if (row === undefined || row.versions.length === 0) continue;
      if (isUnder(row, found, version)) count += 1;
      else if (!isSound(row, found)) doubtful.add(row._id);
    }
    if (page.next === undefined || count >= limit) return { count: Math.min(count, limit), doubtful };
    after = page.next;
  }
}

/** Its own words count as well: of a document that is gone nobody knows what it held. */
function isUnder(row: UserKeyDoc, found: ItemResult<UserKeyDoc>, version: number): boolean {
  if (!found.ok) return lowestMasterVersion(row.versions) <= version;
  return found.value.versions.some(({ wrapped }) => (wrapVersion(wrapped) ?? Infinity) <= version);
}

/** With wraps in Vault the row may claim an older version than they need, never a newer one. */
function isSound(row: UserKeyDoc, found: ItemResult<UserKeyDoc>): boolean {
  if (!found.ok || !found.value.versions.every(isConsistent)) return false;
  const [claimed, wrapped] = [row.master_version ?? 0, lowestMasterVersion(found.value.versions)];
  return isInVault(row) ? claimed <= wrapped : claimed === wrapped;
}

async function complete(wraps: WrapStore, rows: readonly UserKeyDoc[]): Promise<ItemResult<UserKeyDoc>[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await wraps.get(rows);
    } catch (error) {
      if (attempt === LOADS || !isDomainError(error, 'kms_unavailable')) throw error;
      await sleep(PAUSE_MS * attempt);
    }
  }
}
