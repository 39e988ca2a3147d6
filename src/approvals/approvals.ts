import { Injectable } from '@nestjs/common';
import { Clock, DAY, DomainError, newId } from '../kernel';
import { Collection, DuplicateKey, ListOptions, Page, Store, scanRows, retryOnConflict, update } from '../store';
import { ApprovalDoc, approvalsCollection, ApprovalState } from './approval.collection';

/** How long an approval waits for its second person. */
export const APPROVAL_MS = DAY;
const KEPT_MS = 30 * DAY;

export type Wish = Pick<ApprovalDoc, 'action' | 'resource' | 'requested_by'>;

export type Decision = Pick<ApprovalDoc, 'decided_by' | 'runner'>;

/** The rows of approvals. */
@Injectable()
export class Approvals {
  readonly #rows: Collection<ApprovalDoc>;

  constructor(
    store: Store,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(approvalsCollection);
  }

  /** @throws DomainError `not_found`; a forged row counts as absent. */
  async get(id: string): Promise<ApprovalDoc> {
    const row = await this.#rows.find('_id', id);
    if (row === undefined) throw new DomainError('not_found');
    return row;
  }

  /** Newest first. */
  list(options: Omit<ListOptions, 'reverse'>): Promise<Page<ApprovalDoc>> {
    return this.#rows.list('_id', [], { ...options, reverse: true });
  }

  /** Those that were approved and are not over. */
  approved(): AsyncIterable<ApprovalDoc> {
    return scanRows(this.#rows, 'state', ['approved']);
  }

  /** The pending approval of this wish: the one that is there, or a new one. */
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

  /** Compare-and-set on the row that was read: of many decisions one holds, and the others get undefined. */
  decide(row: ApprovalDoc, state: ApprovalState, decision: Decision): Promise<ApprovalDoc | undefined> {
    return this.#rows.replace({ ...ended(row, state), ...decision, decided_at: this.clock.now() });
  }

  /** The end of an approved one. Safe to repeat: the first end stays. */
  async finish(id: string, state: ApprovalState, fault?: string): Promise<void> {
    await update(this.#rows, id, (row) =>
      row.state === 'approved' ? { ...row, state, ...(fault === undefined ? {} : { fault }) } : undefined,
    );
  }

  /** Notes that an approved one could not be done for now. */
  async noteAttempt(id: string): Promise<void> {
    await update(this.#rows, id, (row) =>
      row.state === 'approved' ? { ...row, attempts: (row.attempts ?? 0) + 1, tried_at: this.clock.now() } : undefined,
    );
  }

  isExpired(row: ApprovalDoc): boolean {
    return row.state === 'expired' || (row.state === 'pending' && this.clock.now() >= row.expires_at);
  }

  /** As it stands now: nobody has to come by for a pending one to expire. */
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
