import { Injectable } from '@nestjs/common';
import { DomainError, newId } from '../kernel';
import { retryOnConflict } from '../store';
import { isRegistered, UserDoc } from './user.collection';
import { Users } from './users';

type Edit = (user: UserDoc) => UserDoc;

/**
 * Keeps one administrator who can log in, whichever acts run at the same time and wherever one
 * dies. Who is to be one no longer is marked first and counts for nobody from then on; then
 * somebody else is looked for; then the mark is what the change is conditional on. Of two that mark
 * each other, one takes the other's mark away, which ends that act. A mark that a dead process left
 * does no harm.
 */
@Injectable()
export class Administrators {
  constructor(private readonly users: Users) {}

  /**
   * Changes an account as it stands.
   * @throws DomainError `not_found`; `conflict` where no administrator would be left.
   */
  change(id: string, edit: Edit): Promise<UserDoc> {
    return retryOnConflict(async () => {
      const user = await this.users.byId(id);
      if (!isRegistered(user)) throw new DomainError('not_found');
      const next = edit(user);
      const isKept = next.role === user.role && next.state === user.state;
      if (isKept) return user;
      return isAdministrator(user) && !isAdministrator(next) ? this.#leave(user, edit) : this.users.replace(next);
    });
  }

  async #leave(user: UserDoc, edit: Edit): Promise<UserDoc | undefined> {
    const mark = newId();
    if ((await this.users.replace({ ...user, leaving: mark })) === undefined) return undefined;
    if (!(await this.users.hasOtherAdministrator(user._id))) {
      await this.#withdraw(user._id, mark);
      throw lastAdministrator();
    }
    const last = { isDone: false };
    const now = await this.users.change(user._id, (row) => {
      last.isDone = row.leaving === mark && isAdministrator(row);
      return last.isDone ? edit(unmarked(row)) : undefined;
    });
    return last.isDone ? now : undefined;
  }

  async #withdraw(id: string, mark: string): Promise<void> {
    await this.users.change(id, (row) => (row.leaving === mark ? unmarked(row) : undefined));
  }
}

const isAdministrator = ({ role, state }: UserDoc): boolean => role === 'administrator' && state === 'active';

const unmarked = ({ leaving: _mark, ...row }: UserDoc): UserDoc => row;

export const lastAdministrator = (): DomainError =>
  new DomainError('conflict', { detail: 'This is the last administrator. Grant the role to another account first.' });
