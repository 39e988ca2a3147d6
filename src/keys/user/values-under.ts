import { Logger } from '@nestjs/common';
import { envelopeVersion } from '../../crypto';
import { ciphertext, isDomainError } from '../../kernel';
import { type Collection, type Doc, everyScanned } from '../../store';
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

/**
 * Rows of an owner that may need a version of the owner's key, pending ones and what does not open included: the version ends where there are
 * none. From the rows and the envelopes themselves; a column counts beside its envelope, and a row that does not hold its seal for any version.
 */
export async function valuesUnder<T extends Doc>(
  ownerId: string,
  version: number,
  { rows, index, versionsOf, envelopesOf }: SealedValues<T>,
): Promise<number> {
  const forged = new NamedRows();
  let count = 0;
  for await (const row of everyScanned(rows, index, [ownerId], (id) => forged.add(id))) {
    const named = [...versionsOf(row), ...envelopesOf(row).map(versionIn)];
    if (named.includes(version)) count += 1;
  }
  if (forged.count > 0) {
    const { name } = rows.definition;
    logger.error(`rows of ${name} that do not hold their seal keep versions of a user key: ${forged.first.join(', ')}`);
  }
  return count + forged.count;
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
