import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../config';
import { audited, AuditAction, AuditSink, Person } from '../kernel';
import { ApprovalDoc } from './approval.collection';
import { Approvals } from './approvals';
import { ApprovableActions } from './approvable-actions';

/** TWO_PERSON: what one administrator asks for, and another one has to approve. */
@Injectable()
export class DualControl {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly approvals: Approvals,
    private readonly acts: ApprovableActions,
    private readonly audit: AuditSink,
  ) {}

  /**
   * The approval that the act now waits for; undefined where one administrator may do it alone. Asked again by the same administrator: the
   * same approval. @throws DomainError what stands against the act already.
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
