import { Logger } from '@nestjs/common';
import { envelopeVersion } from '../../crypto';
import { ciphertext, isDomainError } from '../../kernel';
import { type Collection, type Doc, scanPages } from '../../store';
import { NamedRows } from './user-key-walk';

/** Rows that hold something under a version of their owner's key. */
export interface SealedValues<T extends Doc> {
  readonly rows: Collection<T>;
  /** Over owner and version, which only rises: a row that changes meanwhile comes later in it, and is met. */
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
 * Rows of an owner that may need each of these versions of the owner's key, pending ones and what does not open included: a version ends where
 * there are none. From the rows and the envelopes themselves, in one pass; a column counts beside its envelope, and a row that does not hold
 * its seal for any version. On the embedded store the pass reads the whole collection.
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
    counts.add([...versionsOf(row), ...envelopesOf(row).map(versionIn)]);
  if (forged.count > 0) {
    const { name } = rows.definition;
    logger.error(`rows of ${name} that fail MAC verification keep versions of a user key: ${forged.first.join(', ')}`);
  }
  return counts.all.map((count) => count + forged.count);
}

/** The key version that an envelope in hex names; 0 where there is none, or one that is too damaged to name any. */
export function versionIn(envelope: string | undefined): number {
  try {
    return envelope === undefined ? 0 : envelopeVersion(ciphertext(Buffer.from(envelope, 'hex')));
  } catch (error) {
    if (isDomainError(error, 'decryption_failed')) return 0;
    throw error;
  }
}
