import { Injectable, Logger, OnModuleInit } from '@nestjs/common';
import { isGone, newLeaseOwner, Scheduler } from '../jobs';
import { audited, AuditSink, Clock, DomainError, failpoint, isDomainError, MINUTE, Person, SECOND } from '../kernel';
import { Users } from '../users';
import { ApprovalDoc } from './approval.collection';
import { APPROVAL_MS, Approvals } from './approvals';
import { ApprovableActions } from './approvable-actions';

/**
 * Interval of the search for approved actions that are not done: the process crashed, or Vault or
 * the store was unavailable.
 */
const RESUME_MS = 10 * SECOND;
/**
 * Upper bound of the retry pause, which doubles after each attempt. It spares a failing backend and
 * notices its recovery soon.
 */
const LONGEST_PAUSE = 10 * MINUTE;

/**
 * Approves and runs, rejects or withdraws requests, and resumes approved actions after a crash or
 * an outage.
 */
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
   * Approves the request, runs the action and returns the response of the action's own route.
   * @throws DomainError `not_found`; `permission_denied` if the caller is the requester; `conflict`
   * if the request is decided or expired, or the requester is no longer an administrator; the
   * errors of the action
   */
  async approve(caller: Person, id: string): Promise<object> {
    const row = await this.approvals.get(id);
    const intent = { action: 'approval.approve', actor: caller.actor, ...what(row) } as const;
    return audited(this.audit, intent, async () => {
      if (row.requested_by === caller.actor) throw samePerson();
      return this.#do(row.state === 'approved' ? this.#abandoned(row) : await this.#approved(row, caller));
    });
  }

  /**
   * Ends a pending request: the requester withdraws it, any other administrator rejects it.
   * @throws DomainError `not_found`, `conflict`
   */
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

  /**
   * Retries unfinished approved actions, with growing pauses, until one day after the approval. A
   * failing action does not block the others.
   */
  async resume(): Promise<void> {
    for await (const row of this.approvals.approved()) {
      if (this.#age(row) > APPROVAL_MS) await this.approvals.finish(row._id, 'expired');
      else if (this.#isAbandoned(row) && this.#isDue(row)) await this.#safely(row);
    }
  }

  /**
   * Approves with one compare-and-set: of several concurrent approvals, only one runs the action.
   */
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

  /**
   * True if no live process seems to run the action. A wrong guess is harmless, because actions
   * tolerate concurrent runs.
   */
  #isAbandoned(row: ApprovalDoc): boolean {
    if (this.#underWay.has(row._id)) return false;
    return this.#age(row) >= RESUME_MS || isGone(row.runner ?? '', this.#runner);
  }

  /**
   * Applies to automatic retries only. An administrator who approves again triggers a run at once.
   */
  #isDue({ attempts = 0, tried_at = 0 }: ApprovalDoc): boolean {
    const pause = attempts === 0 ? 0 : Math.min(LONGEST_PAUSE, RESUME_MS * 2 ** (attempts - 1));
    return this.clock.now() - tried_at >= pause;
  }

  /**
   * Ignores errors: if the store rejects this note, the action fails too, and the next turn
   * retries.
   */
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

  /** Rejects requests of administrators who have been demoted, disabled or erased since. */
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

/** True for errors that a retry cannot resolve. The approval ends with such an error. */
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
