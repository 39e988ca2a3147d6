import type { WrapLocation } from '../../../installation';
import { DomainError } from '../../../kernel';
import type { Draft } from '../../../store';
import type { ItemResult } from '../../master-key';
import type { UserKeyDoc, UserKeyVersion } from '../user-keys.collection';

/** The path of a user name holds another owner's wraps, or lost those of its own owner. */
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
 * The document has wraps of the row's versions under ids that the row does not name: the store was
 * restored from an older backup, or another process made a key meanwhile.
 */
export class ForeignWraps extends Error {
  constructor(readonly entries: readonly StoredWrap[]) {
    super('the document has wraps that the row does not name');
  }
}

/** A wrap with the id of its key: two processes may make different keys of one version. */
export type StoredWrap = UserKeyVersion & { readonly key_id: string };

/** Vault answers, and what it has for this one owner is not what Coffer wrote. */
export class UnreadableWrapDocument extends DomainError {
  constructor() {
    super('kms_unavailable', { detail: 'The key of this owner cannot be read.' });
  }
}

/**
 * Where the wraps of user keys are stored: in their rows, or in Vault. A DI token. A row is either
 * complete or as the store keeps it (`storedRow`); both name the master key version of each wrap,
 * and the store never a newer one. Every method rejects with `kms_unavailable` where Vault is away.
 */
export abstract class WrapStore {
  /**
   * Binds the location to an installation. @throws StartupError where only the operator can help.
   */
  abstract open(installationId: string): Promise<void>;
  abstract ping(): Promise<void>;
  /** Where the wraps of a new owner go at this moment. */
  abstract location(): Promise<WrapLocation>;
  /**
   * Called after a row is stored and before it becomes active: whether its wraps are at the present
   * location. Otherwise it moves them, and the caller reads the row again.
   */
  abstract isSettled(row: UserKeyDoc): Promise<boolean>;
  /** The rows, complete and in order. A row whose wraps are missing is refused. */
  abstract get(rows: readonly UserKeyDoc[]): Promise<ItemResult<UserKeyDoc>[]>;
  /**
   * Stores the wraps of a complete row, before the row. It never removes a wrap or replaces a newer
   * one. Only with `isNew`, the first wrap of an owner, it may take a free path.
   * @throws WrapPathConflict
   */
  abstract put(row: Draft<UserKeyDoc>, isNew?: boolean): Promise<void>;
  /**
   * Ids of this owner's wraps that the row does not name, up to its current version: a newer wrap
   * may belong to a later backup. A running writer may be about to name one of them.
   */
  abstract orphans(row: UserKeyDoc): Promise<readonly string[]>;
  /** Deletes wraps that no row names, with every earlier copy of them. May be repeated. */
  abstract delete(row: Draft<UserKeyDoc>, keyIds: readonly string[]): Promise<void>;
  /**
   * Destroys what `name` holds if it belongs to this owner, then frees the name. May be repeated,
   * and late. `isMeant` is for an owner who may return: it is asked before wraps are destroyed.
   */
  abstract erase(name: string, ownerId: string, isMeant?: () => Promise<boolean>): Promise<void>;
}

/** Vault, as the target and the source of a move of wraps. */
export abstract class MovableWrapStore extends WrapStore {
  /**
   * Writes the wraps of a complete row into its document, whose path may be free. Versions beyond
   * the row's current one stay, and of one key the wrap under the newer master version. `isMeant`
   * is asked between the read and the check-and-set: false where the row has changed.
   * @throws WrapPathConflict, ForeignWraps
   */
  abstract fill(row: UserKeyDoc, isMeant: () => Promise<boolean>): Promise<boolean>;

  /** Whether the document has a version of the key beyond the row's current one. */
  abstract isAhead(row: UserKeyDoc): Promise<boolean>;
}

/** Maps an owner to the user name that is the path of the wraps in Vault. A DI token. */
export abstract class OwnerNames {
  /** Undefined where there is no account of this id. */
  abstract nameOf(ownerId: string): Promise<string | undefined>;
}
