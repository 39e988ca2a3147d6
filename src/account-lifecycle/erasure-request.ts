import { Injectable } from '@nestjs/common';
import { Clock, DomainError, failpoint, MINUTE } from '../kernel';
import { retryOnConflict } from '../store';
import { UserDoc, Users } from '../users';
import { ErasureDoc } from './erasure.collection';
import { Erasures, underWay } from './erasures';

/** A claim that is older than this and not decided belongs to a process that died. */
const CLAIM_MS = MINUTE;

/** From the wish to erase an account to the point of no return, or back to where it was. */
@Injectable()
export class ErasureRequest {
  constructor(
    private readonly erasures: Erasures,
    private readonly users: Users,
    private readonly clock: Clock,
  ) {}

  /**
   * An erase that is decided: this one, or an earlier one of the same account, which may be over.
   * @throws DomainError `not_found`; `conflict` for the last administrator, and while another erase of it is being decided.
   */
  async reach(accountId: string, requestedBy: ErasureDoc['requested_by']): Promise<ErasureDoc> {
    const present = await this.erasures.find(accountId);
    if (present !== undefined && isDecided(present)) return present;
    if (present !== undefined && !(await this.giveBack(present))) throw underWay();
    const user = await this.users.byId(accountId);
    if (user === undefined || user.state === 'erasing') throw new DomainError('not_found');
    const claim = await this.erasures.claim(user, requestedBy);
    failpoint('erase.claimed');
    return this.#decide(claim, await this.#mark(user));
  }

  /** Whether an erase could be decided as things stand. Changes nothing. @throws DomainError `not_found`, `conflict`. */
  async requireErasable(accountId: string): Promise<void> {
    const user = await this.users.byId(accountId);
    if (user === undefined) throw new DomainError('not_found');
    const isAdministrator = user.role === 'administrator' && user.state === 'active';
    if (isAdministrator && (await this.users.administrators()) <= 1) throw lastAdministrator();
  }

  /** Ends a claim that died, so that the account is what it was. False where somebody may still be at it. */
  async giveBack(erasure: ErasureDoc): Promise<boolean> {
    if (erasure.state === 'claimed' && Math.abs(this.clock.now() - erasure.requested_at) < CLAIM_MS) return false;
    return this.#withdraw(erasure);
  }

  /** From here on no login, no token and no second erase of the account is taken; its name and address stay taken. */
  async #mark(seen: UserDoc): Promise<UserDoc | undefined> {
    const marked = await this.users.change(seen._id, (user) =>
      user.state === seen.state ? { ...user, state: 'erasing' } : undefined,
    );
    failpoint('erase.account-marked');
    return marked;
  }

  /**
   * The administrators are counted behind the mark: of two who erase themselves or each other at the same time, each one's count comes after
   * its own mark, so at most one of them finds nobody left, and goes back.
   */
  async #decide(claim: ErasureDoc, user: UserDoc | undefined): Promise<ErasureDoc> {
    if (user?.state !== 'erasing') return this.#refuse(claim, changedMeanwhile());
    if (user.role === 'administrator' && (await this.users.administrators()) === 0) {
      return this.#refuse(claim, lastAdministrator());
    }
    const decided = await this.erasures.move(claim, 'erasing');
    if (decided === undefined) {
      await this.#unmark(claim);
      throw underWay();
    }
    failpoint('erase.decided');
    return decided;
  }

  /**
   * Who waited too long between its claim and its mark finds the claim withdrawn: it marked the account behind that, and nobody else would
   * give it back.
   */
  async #unmark(claim: ErasureDoc): Promise<void> {
    await this.#restore(claim, async () => (await this.erasures.find(claim._id)) === undefined);
  }

  /**
   * The account is read before `isMeant` is asked: a later erase marks the account only after this one's row is gone, so its mark comes after
   * that question and changes the revision. Who slept in between takes nobody's mark away.
   */
  async #restore({ _id, former_state }: ErasureDoc, isMeant: () => Promise<boolean>): Promise<void> {
    await retryOnConflict(async () => {
      const user = await this.users.byId(_id);
      if (user?.state !== 'erasing' || !(await isMeant())) return true;
      return (await this.users.replace({ ...user, state: former_state })) && true;
    });
  }

  async #refuse(claim: ErasureDoc, refusal: DomainError): Promise<never> {
    await this.#withdraw(claim);
    throw refusal;
  }

  /** First it can no longer be decided, then the account is given back, then the row goes. Safe to repeat from any of these. */
  async #withdraw(erasure: ErasureDoc): Promise<boolean> {
    const withdrawn = erasure.state === 'withdrawn' ? erasure : await this.erasures.move(erasure, 'withdrawn');
    if (withdrawn === undefined) return false;
    failpoint('erase.withdrawn');
    await this.#restore(withdrawn, async () => {
      const now = await this.erasures.find(withdrawn._id);
      return now?.state === 'withdrawn' && now.requested_at === withdrawn.requested_at;
    });
    await this.erasures.remove(withdrawn);
    return true;
  }
}

export const isDecided = ({ state }: ErasureDoc): boolean => state === 'erasing' || state === 'erased';

const changedMeanwhile = (): DomainError =>
  new DomainError('conflict', { detail: 'The account changed during the request. Retry.' });

const lastAdministrator = (): DomainError =>
  new DomainError('conflict', { detail: 'This is the last administrator. Grant the role to another account first.' });
