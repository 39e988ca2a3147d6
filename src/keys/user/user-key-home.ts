import type { Draft } from '../../store';
import type { ItemResult } from '../master';
import type { UserKeyDoc } from './user-keys.collection';

/** A user name's place is taken by the key of somebody else, or by what is left of one; or the owner's own wraps are gone from it. */
export class NameHeld extends Error {
  constructor(
    readonly username: string,
    readonly ownerId: string,
    /** True for a tombstone: that key is being erased, and any process may go on with it. */
    readonly erasing: boolean,
  ) {
    super('the place of a user key is taken');
  }
}

/**
 * Where the wraps of user keys lie: in their rows, or in Vault. A DI token. Rows come in two forms, complete and as the store keeps them;
 * which master version each wrap needs stands in both, and in the store never a newer one than the wrap has.
 * Every method rejects with DomainError `kms_unavailable` where Vault does not answer.
 */
export abstract class UserKeyHome {
  abstract readonly kind: 'store' | 'vault';
  /** @throws StartRefused where only the operator can help. */
  abstract open(): Promise<void>;
  abstract ping(): Promise<void>;
  /** What the store keeps of a complete row. */
  abstract stored<T extends Draft<UserKeyDoc>>(row: T): T;
  /** The rows, complete; a row without its wraps is refused. Order kept. */
  abstract load(rows: readonly UserKeyDoc[]): Promise<ItemResult<UserKeyDoc>[]>;
  /**
   * Puts the wraps of a complete row away, before the row itself is stored. Never takes one away or sets one back. Only with `isNew`, the
   * first wrap of an owner, is a free place taken: for anybody else a free place is what an erase left. @throws NameHeld
   */
  abstract keep(row: Draft<UserKeyDoc>, isNew?: boolean): Promise<void>;
  /** Ids of this owner's wraps that the row does not name. A writer that lives may be about to name them. */
  abstract strays(row: UserKeyDoc): Promise<readonly string[]>;
  /** Takes wraps away that no row names, or will name, with every copy that they have in what lay there before. Safe to repeat. */
  abstract forget(row: Draft<UserKeyDoc>, keyIds: readonly string[]): Promise<void>;
  /** Destroys what lies under `name` if it is this owner's, and then lets go of the name. Safe to repeat, and late. */
  abstract erase(name: string, ownerId: string): Promise<void>;
}
