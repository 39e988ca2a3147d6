import { Injectable, Logger, OnModuleInit } from '@nestjs/common';
import { isGone, newLeaseOwner, Scheduler } from '../jobs';
import { audited, AuditSink, Clock, DomainError, failpoint, isDomainError, MINUTE, Person, SECOND } from '../kernel';
import { Users } from '../users';
import { ApprovalDoc } from './approval.collection';
import { APPROVAL_MS, Approvals } from './approvals';
import { ApprovableActions } from './approvable-actions';

/** How often somebody looks for approved acts that are not done: their process died, or Vault or the store was away. */
const RESUME_MS = 10 * SECOND;
/** The pause before the next try doubles up to this: an outage of a night is not hammered, and its end is not missed for long. */
const LONGEST_PAUSE = 10 * MINUTE;

/** The second person's part: approves and does, rejects or withdraws; and goes on with what a process that died left approved. */
@Injectable()
export class ApprovalDecisions implements OnModuleInit {
  readonly #logger = new Logger('Approvals');
  readonly #runner = newLeaseOwner();
  readonly #underWay = new Set<string>();

  constructor(
    private readonly approvals: Approvals,
    private readonly acts: ApprovableActions,
    private readonly users: Users,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
    private readonly scheduler: Scheduler,
  ) {}

  onModuleInit(): void {
    this.scheduler.every('approvals.resume', RESUME_MS, () => this.resume());
  }

  /**
   * Approves and does the act; resolves with what its route would have answered.
   * @throws DomainError `not_found`; `permission_denied` (who asked does not approve); `conflict` (decided or expired, or who asked is no
   * administrator any more); what stands against the act.
   */
  async approve(caller: Person, id: string): Promise<object> {
    const row = await this.approvals.get(id);
    const intent = { action: 'approval.approve', actor: caller.actor, ...what(row) } as const;
    return audited(this.audit, intent, async () => {
      if (row.requested_by === caller.actor) throw samePerson();
      return this.#do(row.state === 'approved' ? this.#abandoned(row) : await this.#approved(row, caller));
    });
  }

  /** Ends a pending one: who asked withdraws it, any other administrator rejects it. @throws DomainError `not_found`, `conflict` */
  async end(caller: Person, id: string): Promise<void> {
    const row = await this.approvals.get(id);
    const own = row.requested_by === caller.actor;
    const intent = own
      ? ({ action: 'approval.withdraw', actor: caller.actor, ...what(row) } as const)
      : ({ action: 'approval.reject', actor: caller.actor, ...what(row) } as const);
    await audited(this.audit, intent, async () => {
      this.#requirePending(row);
      const ended = await this.approvals.decide(row, own ? 'withdrawn' : 'rejected', { decided_by: caller.actor });
      if (ended === undefined) throw decidedMeanwhile();
    });
  }

  /** One that cannot be done now is tried again, each time after a longer pause, for a day after its approval, and holds up no other. */
  async resume(): Promise<void> {
    for await (const row of this.approvals.approved()) {
      if (this.#age(row) > APPROVAL_MS) await this.approvals.finish(row._id, 'expired');
      else if (this.#isAbandoned(row) && this.#isDue(row)) await this.#safely(row);
    }
  }

  /** One conditional write: of many approvals at once, one goes on to the act. */
  async #approved(row: ApprovalDoc, caller: Person): Promise<ApprovalDoc> {
    this.#requirePending(row);
    await this.#requireRequester(row);
    await this.acts.of(row.action).check(row.resource);
    const decision = { decided_by: caller.actor, runner: this.#runner };
    const approved = await this.approvals.decide(row, 'approved', decision);
    if (approved === undefined) throw decidedMeanwhile();
    failpoint('approval.approved');
    return approved;
  }

  async #do(row: ApprovalDoc): Promise<object> {
    const { _id: id, resource, requested_by: requestedBy, decided_by: approvedBy = '' } = row;
    this.#underWay.add(id);
    try {
      const answer = await this.acts.of(row.action).run({ id, resource, requestedBy, approvedBy });
      failpoint('approval.acted');
      await this.approvals.finish(id, 'done');
      return answer;
    } catch (error) {
      await (isFinal(error) ? this.approvals.finish(id, 'refused', error.code) : this.#noteAttempt(id));
      throw error;
    } finally {
      this.#underWay.delete(id);
    }
  }

  /** Whoever approved it may still be at it. Were it so all the same: each act may be done by two at once. */
  #isAbandoned(row: ApprovalDoc): boolean {
    if (this.#underWay.has(row._id)) return false;
    return this.#age(row) >= RESUME_MS || isGone(row.runner ?? '', this.#runner);
  }

  /** An administrator who approves it once more does not wait for that. */
  #isDue({ attempts = 0, tried_at = 0 }: ApprovalDoc): boolean {
    const pause = attempts === 0 ? 0 : Math.min(LONGEST_PAUSE, RESUME_MS * 2 ** (attempts - 1));
    return this.clock.now() - tried_at >= pause;
  }

  /** A store that does not take the note does not take the act either: then the next turn is soon enough. */
  async #noteAttempt(id: string): Promise<void> {
    await this.approvals.noteAttempt(id).catch(() => undefined);
  }

  #abandoned(row: ApprovalDoc): ApprovalDoc {
    if (this.#isAbandoned(row)) return row;
    throw new DomainError('conflict', {
      detail: 'This request is approved and being carried out.',
      retryAfterSeconds: 10,
    });
  }

  #requirePending(row: ApprovalDoc): void {
    const state = this.approvals.stateOf(row);
    if (state !== 'pending') throw new DomainError('conflict', { detail: `This approval is ${state}.` });
  }

  /** Who was demoted, disabled or erased since asks for nothing any more. */
  async #requireRequester({ requested_by }: ApprovalDoc): Promise<void> {
    const user = await this.users.byId(requested_by);
    if (user?.role === 'administrator' && user.state === 'active') return;
    throw new DomainError('conflict', { detail: 'The requester is no longer an administrator.' });
  }

  async #safely(row: ApprovalDoc): Promise<void> {
    try {
      const intent = { action: 'approval.resume', actor: 'system:approvals', ...what(row) } as const;
      await audited(this.audit, intent, () => this.#do(row));
    } catch (error) {
      const code = isDomainError(error) ? error.code : 'internal';
      this.#logger.error({ approval: row._id, code, msg: 'an approved act could not be done' });
    }
  }

  #age(row: ApprovalDoc): number {
    return this.clock.now() - (row.decided_at ?? 0);
  }
}

/** What will not pass by waiting: the approval ends with it. */
const isFinal = (error: unknown): error is DomainError =>
  isDomainError(error) &&
  error.retryAfterSeconds === undefined &&
  !isDomainError(error, 'kms_unavailable', 'store_unavailable', 'audit_unavailable', 'storage_full', 'shutting_down');

const what = ({ _id, action, resource, requested_by }: ApprovalDoc) => ({
  resource: `approval/${_id}`,
  details: { act: action, on: resource, requested_by },
});

const samePerson = (): DomainError =>
  new DomainError('permission_denied', { detail: 'Another administrator must approve this request.' });

const decidedMeanwhile = (): DomainError =>
  new DomainError('conflict', { detail: 'Another administrator has just decided this request.', retryAfterSeconds: 1 });
