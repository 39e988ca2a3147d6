import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../config';
import { audited, AuditAction, AuditSink, Person } from '../kernel';
import { ApprovalDoc } from './approval.collection';
import { Approvals } from './approvals';
import { ApprovableActions } from './approvable-actions';

/** TWO_PERSON: requires the approval of a second administrator for some actions. */
@Injectable()
export class DualControl {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly approvals: Approvals,
    private readonly acts: ApprovableActions,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Returns the approval that the action waits for, or undefined if one administrator suffices.
   * A repeated request of the same administrator returns the same approval.
   * @throws DomainError the reason why the action cannot run
   */
  async request(caller: Person, action: AuditAction, resource: string): Promise<ApprovalDoc | undefined> {
    if (!this.config.twoPerson) return undefined;
    const intent = { action: 'approval.request', actor: caller.actor, resource, details: { act: action } } as const;
    return audited(this.audit, intent, async () => {
      await this.acts.of(action).check(resource);
      return this.approvals.open({ action, resource, requested_by: caller.actor });
    });
  }
}
