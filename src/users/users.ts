import { Injectable } from '@nestjs/common';
import { Collection, Draft, scanRows, Store, update } from '../store';
import { parseEmail } from './email-address';
import { KeyedMutex } from './keyed-mutex';
import { UserDoc, usersCollection } from './user.collection';
import { parseUsername, Username } from './username';

/** The accounts. What may be done to one is decided by its callers; here rows are found and changed. */
@Injectable()
export class Users {
  readonly #rows: Collection<UserDoc>;
  readonly #queue = new KeyedMutex();

  constructor(store: Store) {
    this.#rows = store.collection(usersCollection);
  }

  byId(id: string): Promise<UserDoc | undefined> {
    return this.#rows.find('_id', id);
  }

  /** Whether there is a row of this id that fails MAC verification, which counts as none everywhere else. */
  async isForged(id: string): Promise<boolean> {
    let isForged = false;
    await this.#rows.list('_id', [id], { limit: 1, onTampered: () => (isForged = true) });
    return isForged;
  }

  byUsername(username: Username): Promise<UserDoc | undefined> {
    return this.#rows.find('username', username);
  }

  byVerifiedEmail(folded: string): Promise<UserDoc | undefined> {
    return this.#rows.find('verified_email', folded);
  }

  /** Whom a login names: by user name, or by an address that its owner has verified. An account that is being erased answers to none. */
  async byLogin(login: string): Promise<UserDoc | undefined> {
    const user = await this.#named(login);
    return user?.state === 'erasing' ? undefined : user;
  }

  /** How many administrators can log in, `limit` at most: each row is read, since one that somebody planted is no administrator. */
  async administrators(limit = 2): Promise<number> {
    let count = 0;
    for await (const _ of scanRows(this.#rows, 'role', ['administrator', 'active'])) {
      count += 1;
      if (count === limit) break;
    }
    return count;
  }

  /** All accounts, by user name. `onTampered` hears the ids of rows that fail MAC verification. */
  all(onTampered: (id: string) => void): AsyncIterable<UserDoc> {
    return scanRows(this.#rows, 'username', [], onTampered);
  }

  /** Accounts whose registration has not ended. */
  pending(): AsyncIterable<UserDoc> {
    return scanRows(this.#rows, 'role', ['user', 'pending'], () => undefined);
  }

  async #named(login: string): Promise<UserDoc | undefined> {
    const username = parseUsername(login);
    if (username !== undefined) return this.byUsername(username);
    const email = parseEmail(login);
    return email && this.byVerifiedEmail(email.folded);
  }

  /** @throws DuplicateKey with index `username`, `verified_email` or `_id`. */
  insert(draft: Draft<UserDoc>): Promise<UserDoc> {
    return this.#rows.insert(draft);
  }

  /** Compare-and-set on the revision that was read; undefined where it moved on. @throws DuplicateKey */
  replace(user: UserDoc): Promise<UserDoc | undefined> {
    return this.#rows.replace(user);
  }

  /**
   * Changes the account as it stands now; `edit` may run more than once, and leaves the row alone by returning undefined.
   * Resolves with the row as it is afterwards, undefined where there is none. @throws DuplicateKey
   */
  change(id: string, edit: (user: UserDoc) => UserDoc | undefined): Promise<UserDoc | undefined> {
    return this.#queue.run(id, () => update(this.#rows, id, edit));
  }

  /** Removes the account if it is still the revision that was read. */
  remove(user: UserDoc): Promise<boolean> {
    return this.#rows.remove(user._id, user.rev);
  }
}
