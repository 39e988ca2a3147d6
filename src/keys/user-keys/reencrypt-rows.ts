import { isDomainError } from '../../kernel';
import { Collection, Doc } from '../../store';
import { Sealer } from './sealer';
import type { OwnerKeys } from './user-key-handle';

const BATCH = 100;

/** Rows that hold something under a version of their owner's key, and how each is put under the current one. */
export interface Renewal<T extends Doc> {
  readonly rows: Collection<T>;
  /** Over owner and version: what is oldest comes first. */
  readonly index: string;
  readonly versionOf: (row: T) => number;
  /** @throws DomainError `decryption_failed` */
  readonly renew: (keys: OwnerKeys, row: T) => T;
}

export interface Renewed {
  /** How many rows were stored. */
  readonly count: number;
  /** Ids of rows that do not open: they stay as they are, and keep their key version in use. */
  readonly failed: ReadonlySet<string>;
}

/** Passes over what former versions still hold of an owner, pending rows included, until one finds nothing more that it can renew. */
export async function renewRows<T extends Doc>(sealer: Sealer, ownerId: string, renewal: Renewal<T>): Promise<Renewed> {
  const failed = new Set<string>();
  for (let count = 0; ;) {
    const renewed = await renewOnce(sealer, ownerId, renewal, failed);
    if (renewed === 0) return { count, failed };
    count += renewed;
  }
}

async function renewOnce<T extends Doc>(
  sealer: Sealer,
  ownerId: string,
  { rows, index, versionOf, renew }: Renewal<T>,
  failed: Set<string>,
): Promise<number> {
  let renewed = 0;
  for (let after: string | undefined; ;) {
    const options = { limit: BATCH, onTampered: () => undefined, ...(after !== undefined && { after }) };
    const page = await rows.list(index, [ownerId], options);
    // The rows were read before the key row: one that changes meanwhile is not held by its compare-and-set, and the next pass finds it.
    const { count, isCurrent } = await sealer.with(ownerId, async (keys) => {
      const old = page.items.filter((row) => versionOf(row) < keys.version);
      const changed = old.flatMap((row) => unlessDamaged(row, () => renew(keys, row), failed));
      return { count: await rows.replaceMany(changed), isCurrent: old.length < page.items.length };
    });
    renewed += count;
    if (isCurrent || page.next === undefined) return renewed;
    after = page.next;
  }
}

function unlessDamaged<T extends Doc>(row: T, renewed: () => T, failed: Set<string>): T[] {
  try {
    return [renewed()];
  } catch (error) {
    if (!isDomainError(error, 'decryption_failed')) throw error;
    failed.add(row._id);
    return [];
  }
}
