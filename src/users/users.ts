import { Injectable } from '@nestjs/common';
import { Collection, Draft, ListOptions, Page, Position, scanRows, Store, update } from '../store';
import { parseEmail } from './email-address';
import { KeyedMutex } from './keyed-mutex';
import { serviceAccountsCollection } from './service-account.collection';
import { subjectsCollection } from './subject.collection';
import { UserDoc, usersCollection } from './user.collection';
import { parseUsername, Username } from './username';

/** Storage of accounts. Callers decide what may be changed. */
@Injectable()
export class Users {
  readonly #rows: Collection<UserDoc>;
  readonly #queue = new KeyedMutex();

  constructor(private readonly store: Store) {
    this.#rows = store.collection(usersCollection);
  }

  byId(id: string): Promise<UserDoc | undefined> {
    return this.#rows.find('_id', id);
  }

  /**
   * Whether grants and links of this owner hold: an account that is enabled, a service account, or
   * a subject.
   */
  async serves(ownerId: string): Promise<boolean> {
    return (await this.servingName(ownerId)) !== undefined;
  }

  /**
   * What others see as the owner's name: of a service account and its subjects that of the service
   * account. Undefined where `serves` is false.
   */
  async servingName(ownerId: string): Promise<string | undefined> {
    const user = await this.byId(ownerId);
    if (user !== undefined) return user.state === 'active' ? user.username : undefined;
    const subject = await this.store.collection(subjectsCollection).find('_id', ownerId);
    if (subject?.state === 'pending') return undefined;
    const accountId = subject?.account_id ?? ownerId;
    return (await this.store.collection(serviceAccountsCollection).find('_id', accountId))?.name;
  }

  /**
   * True if the row of this id fails MAC verification. All other methods treat such a row as
   * absent.
   */
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

  /**
   * Finds an account by user name or by verified address. Excludes accounts that are being erased.
   */
  async byLogin(login: string): Promise<UserDoc | undefined> {
    const user = await this.#named(login);
    return user?.state === 'erasing' ? undefined : user;
  }

  /**
   * Whether somebody else stays an administrator who can log in. Where all others are about to
   * leave, one of them is kept: its mark is taken away, and the act that left it is none.
   */
  async hasOtherAdministrator(id: string): Promise<boolean> {
    for (;;) {
      const leaving: UserDoc[] = [];
      for await (const user of scanRows(this.#rows, 'role', ['administrator', 'active'])) {
        if (user._id === id) continue;
        if (user.leaving === undefined) return true;
        leaving.push(user);
      }
      if (leaving.length === 0) return false;
      // Those that moved on meanwhile are looked at again.
      for (const { leaving: _mark, ...kept } of leaving) {
        if ((await this.#rows.replace(kept)) !== undefined) return true;
      }
    }
  }

  /** By user name. Rows that fail MAC verification are left out. */
  page(options: Omit<ListOptions, 'reverse'>): Promise<Page<UserDoc>> {
    return this.#rows.list('username', [], { ...options, onTampered: () => undefined });
  }

  /** Where a page goes on that ends with this account. */
  positionBehind(user: UserDoc): Position {
    return this.#rows.position('username', 0, user);
  }

  /**
   * Counts the administrators who can log in, at most `limit`. Reads and verifies each row, so that
   * a forged row does not count.
   */
  async administrators(limit = 2): Promise<number> {
    let count = 0;
    for await (const _ of scanRows(this.#rows, 'role', ['administrator', 'active'])) {
      count += 1;
      if (count === limit) break;
    }
    return count;
  }

  /**
   * All accounts, by user name. `onTampered` receives the ids of rows that fail MAC verification.
   */
  all(onTampered: (id: string) => void): AsyncIterable<UserDoc> {
    return scanRows(this.#rows, 'username', [], onTampered);
  }

  /** Accounts with an incomplete registration. */
  pending(): AsyncIterable<UserDoc> {
    return scanRows(this.#rows, 'role', ['user', 'pending'], () => undefined);
  }

  async #named(login: string): Promise<UserDoc | undefined> {
    const username = parseUsername(login);
    if (username !== undefined) return this.byUsername(username);
    const email = parseEmail(login);
    return email && this.byVerifiedEmail(email.folded);
  }

  /** @throws DuplicateKey with index `username`, `verified_email` or `_id` */
  insert(draft: Draft<UserDoc>): Promise<UserDoc> {
    return this.#rows.insert(draft);
  }

  /**
   * Compare-and-set on the revision that was read; undefined on a conflict.
   * @throws DuplicateKey
   */
  replace(user: UserDoc): Promise<UserDoc | undefined> {
    return this.#rows.replace(user);
  }

  /**
   * Changes the current row; `edit` may run more than once, and returns undefined to change
   * nothing.
   * Resolves with the resulting row, or undefined if there is none.
   * @throws DuplicateKey
   */
  change(id: string, edit: (user: UserDoc) => UserDoc | undefined): Promise<UserDoc | undefined> {
    return this.#queue.run(id, () => update(this.#rows, id, edit));
  }

  /** Removes the account if it still has the revision that was read. */
  remove(user: UserDoc): Promise<boolean> {
    return this.#rows.remove(user._id, user.rev);
  }
}
