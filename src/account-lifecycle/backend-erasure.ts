import { Injectable } from '@nestjs/common';
import { audited, AuditSink, DomainError, Person, Principal } from '../kernel';
import { ServiceAccounts, Subjects } from '../service-accounts';
import { ErasureDoc } from './erasure.collection';
import { ErasureExecutor } from './erasure-executor';
import { Erasures } from './erasures';
import { Receipts, type SignedReceipt } from './receipts';

/**
 * Erases subjects and service accounts. Nobody logs in to one, so nothing has to be marked and
 * given back as with users: the erase is decided by its row, and goes forward only.
 */
@Injectable()
export class BackendErasure {
  constructor(
    private readonly subjects: Subjects,
    private readonly accounts: ServiceAccounts,
    private readonly erasures: Erasures,
    private readonly run: ErasureExecutor,
    private readonly receipts: Receipts,
    private readonly audit: AuditSink,
  ) {}

  /** Resolves when nothing of the subject is left. @throws DomainError `not_found` */
  async eraseSubject(caller: Principal, externalId: string): Promise<SignedReceipt> {
    const subject = await this.subjects.find(caller.ownerId, externalId);
    if (subject === undefined) throw new DomainError('not_found', { detail: 'There is no such subject.' });
    const intent = { action: 'subject.erase', actor: caller.actor, resource: `subject/${subject._id}` } as const;
    const erasure = await audited(this.audit, intent, () => this.#erase(subject._id, 'service-account'));
    return this.receipts.issue(erasure);
  }

  /**
   * Its keys and its own data go with it.
   * @throws DomainError `not_found`; `conflict` while it has subjects.
   */
  async removeAccount(caller: Person, id: string): Promise<void> {
    const intent = {
      action: 'service-account.remove',
      actor: caller.actor,
      resource: `service-account/${id}`,
    } as const;
    await audited(this.audit, intent, async () => {
      const marked = await this.accounts.beginRemoval(id);
      if (await this.#remain(id)) {
        await this.accounts.cancelRemoval(marked);
        throw new DomainError('conflict', { detail: 'The service account has subjects. Erase them first.' });
      }
      await this.#erase(id, 'administrator');
    });
  }

  async #remain(id: string): Promise<boolean> {
    return (await this.erasures.find(id)) === undefined && (await this.subjects.remain(id));
  }

  async #erase(ownerId: string, requestedBy: ErasureDoc['requested_by']): Promise<ErasureDoc> {
    const erasure = await this.erasures.decide(ownerId, requestedBy);
    return this.run.finish(erasure);
  }
}
