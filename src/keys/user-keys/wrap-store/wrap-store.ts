import type { WrapLocation } from '../../../installation';
import { DomainError } from '../../../kernel';
import type { Draft } from '../../../store';
import type { ItemResult } from '../../master-key';
import type { UserKeyDoc, UserKeyVersion } from '../user-keys.collection';

/** A user name's place is taken by the key of somebody else, or by what is left of one; or the owner's own wraps are gone from it. */
export class WrapPathConflict extends Error {
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
 * The owner's document in Vault has wraps of versions that the row has too, under ids that the row does not name: the store was restored from
 * a backup of before those came there, or another key was made meanwhile.
 */
export class ForeignWraps extends Error {
  constructor(readonly entries: readonly StoredWrap[]) {
    super('the document has wraps that the row does not name');
  }
}

/** A wrap with the identity of its key: versions alone do not tell keys apart that two processes made at the same time. */
export type StoredWrap = UserKeyVersion & { readonly key_id: string };

/** Vault answers, and what it has for this one owner is not what Coffer wrote. */
export class UnreadableWrapDocument extends DomainError {
  constructor() {
    super('kms_unavailable', { detail: 'The key of this owner cannot be read.' });
  }
}

/**
 * Where the wraps of user keys lie: in their rows, or in Vault. A DI token. Rows come in two forms, complete and as the store keeps them
 * (`storedRow`); which master version each wrap needs stands in both, and in the store never a newer one than the wrap has.
 * Every method rejects with DomainError `kms_unavailable` where Vault does not answer.
 */
export abstract class WrapStore {
  /** `installationId`: whose wraps are to lie there. @throws StartupError where only the operator can help. */
  abstract open(installationId: string): Promise<void>;
  abstract ping(): Promise<void>;
  /** Where the wraps of a new owner go, as of now. */
  abstract location(): Promise<WrapLocation>;
  /**
   * Asked once a row is stored and before it becomes active: whether its wraps are where those of new owners go by now. Where they are not
   * they are moved, and the row is to be read again.
   */
  abstract isSettled(row: UserKeyDoc): Promise<boolean>;
  /** The rows, complete; a row without its wraps is refused. Order kept. */
  abstract get(rows: readonly UserKeyDoc[]): Promise<ItemResult<UserKeyDoc>[]>;
  /**
   * Puts the wraps of a complete row away, before the row itself is stored. Never takes one away or sets one back. Only with `isNew`, the
   * first wrap of an owner, is a free place taken: for anybody else a free place is what an erase left. @throws WrapPathConflict
   */
  abstract put(row: Draft<UserKeyDoc>, isNew?: boolean): Promise<void>;
  /**
   * Ids of this owner's wraps that the row does not name, up to its current version. A newer wrap stays: after the store was restored
   * from a backup it may belong to a later backup. A writer that lives may be about to name one of these.
   */
  abstract orphans(row: UserKeyDoc): Promise<readonly string[]>;
  /** Takes wraps away that no row names, or will name, with every copy that they have in what lay there before. Safe to repeat. */
  abstract delete(row: Draft<UserKeyDoc>, keyIds: readonly string[]): Promise<void>;
  /**
   * Destroys what lies under `name` if it is this owner's, and then lets go of the name. Safe to repeat, and late. `isMeant` is for an owner
   * who may come back here, as in `MovableWrapStore.fill`: it is asked before wraps are destroyed, and not where only a tombstone is left to end.
   * Without it the owner is gone for good.
   */
  abstract erase(name: string, ownerId: string, isMeant?: () => Promise<boolean>): Promise<void>;
}

/** Vault, as the wraps come to it from their rows and go back there. */
export abstract class MovableWrapStore extends WrapStore {
  /**
   * Makes the document what this complete row says, in a place that may be free: for a row whose wraps come from the store. Beside that stay
   * wraps of versions beyond the row's current one, and of one key the wrap under the newer master version. `isMeant` is asked between a look at the document and the write, which holds only where nobody wrote it since: so whoever changed
   * the row before that look is seen, and whoever changes it later finds the document, or a write of it by which this one does not hold.
   * False where it is not meant any more; then the name may be left claimed, with nothing in it. @throws WrapPathConflict, ForeignWraps
   */
  abstract fill(row: UserKeyDoc, isMeant: () => Promise<boolean>): Promise<boolean>;

  /** Whether the owner's document has a version of the key beyond the row's current one: the row is older than the document then. */
  abstract isAhead(row: UserKeyDoc): Promise<boolean>;
}

/** Under which name an owner's key lies in Vault: what only the accounts know. A DI token. */
export abstract class OwnerNames {
  /** Undefined where there is no account of this id. */
  abstract nameOf(ownerId: string): Promise<string | undefined>;
}
