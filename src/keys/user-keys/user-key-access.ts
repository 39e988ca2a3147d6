import { Injectable } from '@nestjs/common';
import { ciphertext, DomainError, SecretBytes } from '../../kernel';
import { type Collection, Store } from '../../store';
import { MasterKey } from '../master-key';
import { asOneOperation } from '../../vault-client';
import { BoundOwnerKeys } from './bound-owner-keys';
import { KeyCache } from './key-cache';
import { OpenedUserKey } from './opened-user-key';
import type { OwnerKeys } from './sealer';
import { WrapStore } from './wrap-store';
import { unwrapVersions } from './user-key-wraps';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';

/** From an owner's row to the owner's keys: row, cache, master key. */
@Injectable()
export class UserKeyAccess {
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly masterKey: MasterKey,
    private readonly cache: KeyCache,
    private readonly home: WrapStore,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /** The owner's row. @throws DomainError `not_found` where there is no active one. */
  async row(ownerId: string): Promise<UserKeyDoc> {
    return this.#active(ownerId, await this.#rows.find('_id', ownerId));
  }

  /** As `row`, linearizable: step 4 of the wrap protocol, which must not miss an epoch that another process has raised. */
  async rowAsItIsNow(ownerId: string): Promise<UserKeyDoc> {
    return this.#active(ownerId, await this.#rows.findLinearizable(ownerId));
  }

  #active(ownerId: string, row: UserKeyDoc | undefined): UserKeyDoc {
    if (row?.state === 'active') return row;
    // Erased by another replica, perhaps: then its bytes must not wait here for their age limit.
    this.cache.drop(ownerId);
    throw new DomainError('not_found');
  }

  /** Runs `use` with the keys of `row`. @throws DomainError `kms_unavailable`. */
  use<T>(row: UserKeyDoc, use: (keys: OwnerKeys) => T | Promise<T>): Promise<T> {
    return this.cache.use(
      row._id,
      row.epoch,
      () => asOneOperation(() => this.#open(row)),
      async (key) => {
        const keys = new BoundOwnerKeys(key);
        try {
          return await use(keys);
        } finally {
          keys.end();
        }
      },
    );
  }

  async #open(row: UserKeyDoc): Promise<OpenedUserKey> {
    const keys = (await this.#unwrap(row)) ?? (await this.#openAgain(row));
    return new OpenedUserKey({
      ownerId: row._id,
      epoch: row.epoch,
      current: row.current,
      keys,
      wrappedNameKey: ciphertext(Buffer.from(row.wrapped_name_key, 'hex')),
    });
  }

  /** Between the read of the row and the unwrap a rotation may have wrapped it again and a retire ended the former version. */
  async #openAgain(seen: UserKeyDoc): Promise<Map<number, SecretBytes>> {
    const now = await this.row(seen._id);
    const keys = now.rev === seen.rev || now.epoch !== seen.epoch ? undefined : await this.#unwrap(now);
    if (keys === undefined)
      throw new DomainError('kms_unavailable', { detail: 'The key of this owner cannot be opened.' });
    return keys;
  }

  async #unwrap(row: UserKeyDoc): Promise<Map<number, SecretBytes> | undefined> {
    const [complete] = await this.home.get([row]);
    return complete?.ok === true ? unwrapVersions(this.masterKey, complete.value) : undefined;
  }
}
