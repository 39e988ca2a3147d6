import { type Collection, type Doc, removeEvery } from '../../store';
import { type Renewed, renewRows, valuesUnder } from './reencrypt-rows';
import type { Sealer } from './sealer';
import type { OwnerKeys } from './user-key-handle';

/** A collection whose rows are encrypted under the keys of their owners. */
export interface EncryptedRowsOptions<T extends Doc> {
  readonly rows: Collection<T>;
  /** The index over owner and key version. */
  readonly byVersion: string;
  /** The index over the owner. */
  readonly byOwner: string;
  /** The key version that the row names. */
  readonly versionOf: (row: T) => number;
  /** Versions that it names besides, for keys or values that another instance re-encrypts. */
  readonly otherVersions?: (row: T) => readonly number[];
  /** All envelopes in the row, in hex. */
  readonly envelopesOf: (row: T) => readonly (string | undefined)[];
  /** The row under the current key. @throws DomainError `decryption_failed` */
  readonly reencrypt: (keys: OwnerKeys, row: T) => T;
}

/**
 * What a user-data handler does with such rows: re-encrypt them, count them by key version, erase
 * them.
 */
export class EncryptedRows<T extends Doc> {
  constructor(
    private readonly sealer: Sealer,
    private readonly options: EncryptedRowsOptions<T>,
  ) {}

  /**
   * Re-encrypts what former versions of the key hold, pending rows included. A row that does not
   * open stays as it is.
   */
  reencrypt(ownerId: string): Promise<Renewed> {
    const { rows, byVersion: index, versionOf, reencrypt: renew } = this.options;
    return renewRows(this.sealer, ownerId, { rows, index, versionOf, renew });
  }

  /** As `UserDataHandler.countByKeyVersion`. */
  countByKeyVersion(ownerId: string, versions: readonly number[]): Promise<readonly number[]> {
    const { rows, byVersion: index, versionOf, otherVersions, envelopesOf } = this.options;
    const versionsOf = (row: T): readonly number[] => [versionOf(row), ...(otherVersions?.(row) ?? [])];
    return valuesUnder(ownerId, versions, { rows, index, versionsOf, envelopesOf });
  }

  /** Needs no key. Returns how many rows were removed. */
  erase(ownerId: string): Promise<number> {
    return removeEvery(this.options.rows, this.options.byOwner, [ownerId]);
  }
}
