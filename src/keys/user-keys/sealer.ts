import { Injectable } from '@nestjs/common';
import { ciphertext, DomainError, failpoint, isDomainError, SecretBytes, StaleKeyVersionError } from '../../kernel';
import { type Collection, Store } from '../../store';
import { asOneOperation } from '../../vault-client';
import { MasterKey } from '../master-key';
import { KeyCache } from './key-cache';
import { OpenedUserKey, OwnerKeys } from './user-key-handle';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';
import { WrapStore } from './wrap-store/wrap-store';
import { unwrapVersions } from './wraps';

/**
 * How a new row is stored by the wrap protocol (docs/keys.md). A replace of an existing row does
 * not need it if the row is read before `Sealer.with` reads the key row: a retire in between
 * rewrites the row, and the compare-and-set fails.
 */
export interface SealedInsert<Row> {
  /** Encrypts the row and stores it, not yet visible. */
  pending(keys: OwnerKeys): Promise<Row>;
  /** The epoch of the key row has changed: encrypts the plaintext anew and replaces the row. */
  again(row: Row, keys: OwnerKeys): Promise<Row>;
  /** Makes the row visible. */
  activate(row: Row): Promise<Row>;
}

/**
 * Gives features the use of an owner's key: key row, cache, then wrap store and master key.
 * @throws DomainError `kms_unavailable` (the key is not cached and cannot be unwrapped),
 * `not_found` (the owner never had a key, or was erased).
 */
@Injectable()
export class Sealer {
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly masterKey: MasterKey,
    private readonly cache: KeyCache,
    private readonly wraps: WrapStore,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * Runs `use` with the owner's keys, from the cache while the epoch of the key row is the same.
   */
  async with<T>(ownerId: string, use: (keys: OwnerKeys) => T | Promise<T>): Promise<T> {
    return this.#use(await this.#row(ownerId), use);
  }

  /**
   * Stores a new row by the wrap protocol. Either a retire of the user key version sees the pending
   * row, or this sees the new epoch, however long the process slept in between.
   */
  async insert<Row>(ownerId: string, steps: SealedInsert<Row>): Promise<Row> {
    let seen = await this.#row(ownerId);
    let row = await this.#use(seen, (keys) => steps.pending(keys));
    failpoint('sealer.pending-stored');
    for (;;) {
      // Linearizable: this read must not miss an epoch that another process has raised.
      const now = this.#active(ownerId, await this.#rows.findLinearizable(ownerId));
      if (now.epoch === seen.epoch) break;
      const stale = row;
      row = await this.#use(now, (keys) => steps.again(stale, keys));
      failpoint('sealer.sealed-again');
      seen = now;
    }
    const activated = await steps.activate(row);
    failpoint('sealer.activated');
    return activated;
  }

  #use<T>(row: UserKeyDoc, use: (keys: OwnerKeys) => T | Promise<T>): Promise<T> {
    const load = (): Promise<OpenedUserKey> => asOneOperation(() => this.#open(row));
    return this.cache.use(row._id, row.epoch, load, async (key) => {
      const keys = new OwnerKeys(key);
      try {
        return await use(keys);
      } finally {
        keys.end();
      }
    });
  }

  /** @throws DomainError `not_found` where the owner has no active key row. */
  async #row(ownerId: string): Promise<UserKeyDoc> {
    return this.#active(ownerId, await this.#rows.find('_id', ownerId));
  }

  #active(ownerId: string, row: UserKeyDoc | undefined): UserKeyDoc {
    if (row?.state === 'active') return row;
    // Another replica may have erased it: the bytes must not stay here until they expire.
    this.cache.drop(ownerId);
    throw new DomainError('not_found');
  }

  async #open(row: UserKeyDoc): Promise<OpenedUserKey> {
    return new OpenedUserKey({
      ownerId: row._id,
      epoch: row.epoch,
      current: row.current,
      keys: (await this.#unwrap(row)) ?? (await this.#unwrapReread(row)),
      wrappedNameKey: ciphertext(Buffer.from(row.wrapped_name_key, 'hex')),
    });
  }

  /** A rotation may have rewrapped the row since it was read, and a retire ended its old wrap. */
  async #unwrapReread(seen: UserKeyDoc): Promise<Map<number, SecretBytes>> {
    const now = await this.#row(seen._id);
    const keys = now.rev === seen.rev || now.epoch !== seen.epoch ? undefined : await this.#unwrap(now);
    if (keys === undefined)
      throw new DomainError('kms_unavailable', { detail: 'The key of this owner cannot be opened.' });
    return keys;
  }

  async #unwrap(row: UserKeyDoc): Promise<Map<number, SecretBytes> | undefined> {
    const [complete] = await this.wraps.get([row]);
    return complete?.ok === true ? unwrapVersions(this.masterKey, complete.value) : undefined;
  }
}

/**
 * The name of another owner's object for a list: null where it does not open, undefined where the
 * key is gone because its owner is being erased.
 * @throws DomainError `kms_unavailable`; StaleKeyVersionError for a row that is to be read again.
 */
export async function openedName(
  sealer: Sealer,
  ownerId: string,
  open: (keys: OwnerKeys) => string,
): Promise<string | null | undefined> {
  try {
    return await sealer.with(ownerId, open);
  } catch (error) {
    if (error instanceof StaleKeyVersionError) throw error;
    if (isDomainError(error, 'decryption_failed')) return null;
    if (isDomainError(error, 'not_found')) return undefined;
    throw error;
  }
}
