import { Logger } from '@nestjs/common';
import { versionIn } from '../../crypto';
import { isDomainError } from '../../kernel';
import { Collection, Doc, scanPages } from '../../store';
import { Sealer } from './sealer';
import type { OwnerKeys } from './user-key-handle';
import { NamedRows } from './wraps-in-use';

const BATCH = 100;

/**
 * Rows that hold something under a version of their owner's key, and how each is put under the
 * current one.
 */
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

/**
 * Passes over what former versions still hold of an owner, pending rows included, until one finds
 * nothing more that it can renew.
 */
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
    // The rows were read before the key row: one that changes meanwhile is not held by its
    // compare-and-set, and the next pass finds it.
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

/** Rows that hold something under a version of their owner's key. */
export interface SealedValues<T extends Doc> {
  readonly rows: Collection<T>;
  /**
   * Over owner and version, which only rises: a row that changes meanwhile comes later in it, and
   * is met.
   */
  readonly index: string;
  /** The versions that the columns of a row name. */
  readonly versionsOf: (row: T) => readonly number[];
  /** All envelopes in a row, hex. */
  readonly envelopesOf: (row: T) => readonly (string | undefined)[];
}

const logger = new Logger('UserKeys');

/** How many rows name each of some versions, in the order of these. */
export class VersionCounts {
  readonly #counts: Map<number, number>;

  constructor(versions: readonly number[]) {
    this.#counts = new Map(versions.map((version) => [version, 0]));
  }

  /** One row, by the versions that it names; it counts once for each. */
  add(named: Iterable<number>): void {
    for (const version of new Set(named)) {
      const count = this.#counts.get(version);
      if (count !== undefined) this.#counts.set(version, count + 1);
    }
  }

  get all(): readonly number[] {
    return [...this.#counts.values()];
  }
}

/**
 * Rows of an owner that may need each of these versions of the owner's key, pending ones and what
 * does not open included: a version ends where there are none. From the rows and the envelopes
 * themselves, in one pass; a column counts beside its envelope, and a row that fails MAC
 * verification for any version. On the embedded store the pass reads the whole collection.
 */
export async function valuesUnder<T extends Doc>(
  ownerId: string,
  versions: readonly number[],
  { rows, index, versionsOf, envelopesOf }: SealedValues<T>,
): Promise<readonly number[]> {
  if (versions.length === 0) return [];
  const forged = new NamedRows();
  const counts = new VersionCounts(versions);
  for await (const row of scanPages(rows, index, [ownerId], (id) => forged.add(id)))
    counts.add([...versionsOf(row), ...envelopesOf(row).map((envelope) => versionIn(envelope))]);
  if (forged.count > 0) {
    const { name } = rows.definition;
    logger.error(`rows of ${name} that fail MAC verification keep versions of a user key: ${forged.first.join(', ')}`);
  }
  return counts.all.map((count) => count + forged.count);
}
