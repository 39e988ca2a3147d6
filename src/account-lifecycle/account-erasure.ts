import { Injectable, Logger, OnModuleInit } from '@nestjs/common';
import type { ApprovedRequest } from '../approvals';
import { Scheduler } from '../jobs';
import { audited, AuditIntent, AuditSink, isDomainError, Person, SECOND } from '../kernel';
import { ErasureRequest } from './erasure-request';
import { ErasureDoc } from './erasure.collection';
import { ErasureExecutor } from './erasure-executor';
import { Erasures } from './erasures';

const RESUME_EVERY = 10 * SECOND;

type Eraser = Pick<AuditIntent, 'actor' | 'details'> & { readonly requestedBy: ErasureDoc['requested_by'] };

/** Erases accounts and resumes erasures that a dead process left behind. */
@Injectable()
export class AccountErasure implements OnModuleInit {
  readonly #logger = new Logger('Erase');

  constructor(
    private readonly erasures: Erasures,
    private readonly decision: ErasureRequest,
    private readonly run: ErasureExecutor,
    private readonly audit: AuditSink,
    private readonly scheduler: Scheduler,
  ) {}

  onModuleInit(): void {
    this.scheduler.every('account-lifecycle.resume', RESUME_EVERY, () => this.resume());
  }

  /**
   * Resolves when the account is erased completely. For an erased account it returns the same
   * erasure.
   * @throws DomainError `not_found`; `conflict` for the last administrator, or while another
   * erasure of the account is being decided
   */
  erase(caller: Person, accountId: string): Promise<ErasureDoc> {
    return this.#erase(accountId, {
      actor: caller.actor,
      requestedBy: caller.ownerId === accountId ? 'owner' : 'administrator',
    });
  }

  /**
   * Runs an erasure that one administrator requested and another one approved.
   * @throws as `erase`
   */
  eraseApproved({ id, requestedBy, approvedBy }: ApprovedRequest, accountId: string): Promise<ErasureDoc> {
    const details = { approval: id, requested_by: requestedBy };
    return this.#erase(accountId, { actor: approvedBy, requestedBy: 'administrator', details });
  }

  /**
   * Resumes all unfinished erasures. A failed one is retried at the next turn and does not block
   * the others.
   */
  async resume(): Promise<void> {
    for (const erasure of await this.erasures.inState('erasing'))
      await this.#safely(erasure, () => this.#goOn(erasure));
    const undecided = [...(await this.erasures.inState('withdrawn')), ...(await this.erasures.inState('claimed'))];
    for (const erasure of undecided) await this.#safely(erasure, () => this.decision.giveBack(erasure));
  }

  async #erase(accountId: string, { requestedBy, ...by }: Eraser): Promise<ErasureDoc> {
    const intent = { action: 'account.erase', resource: `user/${accountId}`, ...by } as const;
    return audited(this.audit, intent, async () => {
      // The process that began the erasure may be dead, with removed rows that were never counted.
      if ((await this.erasures.find(accountId))?.state === 'erasing') await this.erasures.noteResumed(accountId);
      return this.run.finish(await this.decision.reach(accountId, requestedBy));
    });
  }

  async #goOn(erasure: ErasureDoc): Promise<void> {
    const what = { action: 'account.erase-resumed', actor: 'system:account-lifecycle' } as const;
    await audited(this.audit, { ...what, resource: `user/${erasure._id}` }, async () => {
      await this.erasures.noteResumed(erasure._id);
      await this.run.finish(erasure);
    });
  }

  async #safely(erasure: ErasureDoc, act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const code = isDomainError(error) ? error.code : 'internal';
      this.#logger.error({ account: erasure._id, code, msg: 'an erase could not go on; it is tried again' });
    }
  }
}
