import { Injectable } from '@nestjs/common';
import { Clock, DAY, DomainError, newId } from '../kernel';
import { Collection, DuplicateKey, ListOptions, Page, Store, scanRows, retryOnConflict, update } from '../store';
import { ApprovalDoc, approvalsCollection, ApprovalState } from './approval.collection';

/** Time within which a second administrator must approve a request. */
export const APPROVAL_MS = DAY;
const KEPT_MS = 30 * DAY;

export type Wish = Pick<ApprovalDoc, 'action' | 'resource' | 'requested_by'>;

export type Decision = Pick<ApprovalDoc, 'decided_by' | 'runner'>;

/** Storage of approvals. */
@Injectable()
export class Approvals {
  readonly #rows: Collection<ApprovalDoc>;

  constructor(
    store: Store,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(approvalsCollection);
  }

  /** @throws DomainError `not_found`, also for a tampered row */
  async get(id: string): Promise<ApprovalDoc> {
    const row = await this.#rows.find('_id', id);
    if (row === undefined) throw new DomainError('not_found');
    return row;
  }

  /** Lists approvals, newest first. */
  list(options: Omit<ListOptions, 'reverse'>): Promise<Page<ApprovalDoc>> {
    return this.#rows.list('_id', [], { ...options, reverse: true });
  }

  /** Approvals that are approved but not finished. */
  approved(): AsyncIterable<ApprovalDoc> {
    return scanRows(this.#rows, 'state', ['approved']);
  }

  /** Returns the pending approval of this request; creates one if there is none. */
  open(wish: Wish): Promise<ApprovalDoc> {
    const open = JSON.stringify([wish.action, wish.resource, wish.requested_by]);
    return retryOnConflict(async () => {
      const present = await this.#rows.find('open', open);
      if (present === undefined) return this.#insert(wish, open);
      if (!this.isExpired(present)) return present;
      await this.#rows.replace(ended(present, 'expired'));
      return undefined;
    });
  }

  /**
   * Compare-and-set on `row`: of several concurrent decisions one succeeds, the others return
   * undefined.
   */
  decide(row: ApprovalDoc, state: ApprovalState, decision: Decision): Promise<ApprovalDoc | undefined> {
    return this.#rows.replace({ ...ended(row, state), ...decision, decided_at: this.clock.now() });
  }

  /** Ends an approved request. Idempotent: the first end stays. */
  async finish(id: string, state: ApprovalState, fault?: string): Promise<void> {
    await update(this.#rows, id, (row) =>
      row.state === 'approved' ? { ...row, state, ...(fault === undefined ? {} : { fault }) } : undefined,
    );
  }

  /** Records a failed attempt to run an approved action. */
  async noteAttempt(id: string): Promise<void> {
    await update(this.#rows, id, (row) =>
      row.state === 'approved' ? { ...row, attempts: (row.attempts ?? 0) + 1, tried_at: this.clock.now() } : undefined,
    );
  }

  isExpired(row: ApprovalDoc): boolean {
    return row.state === 'expired' || (row.state === 'pending' && this.clock.now() >= row.expires_at);
  }

  /**
   * Current state. Computes expiry at read time, so no background task has to expire pending
   * requests.
   */
  stateOf(row: ApprovalDoc): ApprovalState {
    return this.isExpired(row) ? 'expired' : row.state;
  }

  async #insert(wish: Wish, open: string): Promise<ApprovalDoc | undefined> {
    const now = this.clock.now();
    const times = { requested_at: now, expires_at: now + APPROVAL_MS, gone_at: now + APPROVAL_MS + KEPT_MS };
    try {
      return await this.#rows.insert({ _id: newId(), ...wish, ...times, state: 'pending', open });
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      return undefined;
    }
  }
}

function ended(row: ApprovalDoc, state: ApprovalState): ApprovalDoc {
  const { open: _place, ...rest } = row;
  return { ...rest, state };
}
