import { Injectable } from '@nestjs/common';
import { Clock, DomainError, failpoint, MINUTE } from '../kernel';
import { retryOnConflict } from '../store';
import { lastAdministrator, UserDoc, Users } from '../users';
import { ErasureDoc } from './erasure.collection';
import { Erasures, underWay } from './erasures';

/** An undecided claim older than this belongs to a dead process. */
const CLAIM_MS = MINUTE;

/** Takes an erasure from the request to the irreversible decision, or back to the former state. */
@Injectable()
export class ErasureRequest {
  constructor(
    private readonly erasures: Erasures,
    private readonly users: Users,
    private readonly clock: Clock,
  ) {}

  /**
   * Returns a decided erasure: a new one, or an earlier one of the same account, which may be
   * finished.
   * @throws DomainError `not_found`; `conflict` for the last administrator, or while another
   * erasure of the account is being decided
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

  /**
   * Checks whether an erasure could be decided now. Changes nothing.
   * @throws DomainError `not_found`, `conflict`
   */
  async requireErasable(accountId: string): Promise<void> {
    const user = await this.users.byId(accountId);
    if (user === undefined) throw new DomainError('not_found');
    const isAdministrator = user.role === 'administrator' && user.state === 'active';
    if (isAdministrator && (await this.users.administrators()) <= 1) throw lastAdministrator();
  }

  /**
   * Withdraws an abandoned claim and restores the account. Returns false if another process may
   * still work on the claim.
   */
  async giveBack(erasure: ErasureDoc): Promise<boolean> {
    if (erasure.state === 'claimed' && Math.abs(this.clock.now() - erasure.requested_at) < CLAIM_MS) return false;
    return this.#withdraw(erasure);
  }

  /**
   * Marks the account: from now on no login, token or second erasure is accepted; its name and
   * address stay taken.
   */
  async #mark(seen: UserDoc): Promise<UserDoc | undefined> {
    const marked = await this.users.change(seen._id, (user) =>
      user.state === seen.state ? { ...user, state: 'erasing' } : undefined,
    );
    failpoint('erase.account-marked');
    return marked;
  }

  /**
   * Decides or withdraws the claim. Administrators are counted after the mark: of two who erase
   * themselves or each other concurrently, each counts after its own mark. At most one of them
   * therefore finds no administrator left, and withdraws.
   */
  async #decide(claim: ErasureDoc, user: UserDoc | undefined): Promise<ErasureDoc> {
    if (user?.state !== 'erasing') return this.#refuse(claim, changedMeanwhile());
    if (user.role === 'administrator' && !(await this.users.hasOtherAdministrator(user._id))) {
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
   * If the process slept between claim and mark, the claim may be withdrawn already. The mark then
   * came after that, and no other process would restore the account.
   */
  async #unmark(claim: ErasureDoc): Promise<void> {
    await this.#restore(claim, async () => (await this.erasures.find(claim._id)) === undefined);
  }

  /**
   * Reads the account before `isMeant`: a later erasure marks the account only after this row is
   * removed. Its mark therefore comes after that check and changes the revision, so a process that
   * slept in between cannot undo it.
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

  /** Order: block the decision, restore the account, remove the row. Each step can be repeated. */
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
