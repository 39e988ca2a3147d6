import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { audited, AuditSink, Clock, DomainError, newId, Person } from '../../kernel';
import { MailDelayed } from '../../mail';
import { EmailAddress, Users, requireEmail } from '../../users';
import { InvitationDoc } from './invitation.collection';
import { newInvitationCode } from './invitation-code';
import { InvitationMails } from './invitation-mails';
import { Invitations } from './invitations';

/** An administrator's actions on invitations. */
@Injectable()
export class Inviting {
  constructor(
    private readonly invitations: Invitations,
    private readonly invitationMails: InvitationMails,
    private readonly users: Users,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * @throws DomainError `validation_failed`, `permission_denied` (with REGISTRATION=closed),
   * `conflict` (the address has an account), `too_many_attempts` (the hourly allowance of the
   * address is used), `mail_unavailable`
   */
  async invite(caller: Person, address: string, lifeMs: number): Promise<InvitationDoc> {
    const email = requireEmail(address);
    if (this.config.accounts.registration === 'closed') {
      throw new DomainError('permission_denied', { detail: 'Nobody can register: REGISTRATION is closed.' });
    }
    const id = newId();
    const intent = { action: 'invitation.create', actor: caller.actor, resource: `invitation/${id}` } as const;
    return audited(this.audit, intent, () => this.#mailed(caller, id, email, lifeMs));
  }

  /** @throws DomainError `not_found` */
  end(caller: Person, id: string): Promise<void> {
    const intent = { action: 'invitation.remove', actor: caller.actor, resource: `invitation/${id}` } as const;
    return audited(this.audit, intent, async () => {
      if (!(await this.invitations.remove(id))) throw new DomainError('not_found');
    });
  }

  /**
   * Stores the row before the mail, so that a mailed code is always usable. A lost mail removes the
   * row again.
   */
  async #mailed(caller: Person, id: string, email: EmailAddress, lifeMs: number): Promise<InvitationDoc> {
    if ((await this.users.byVerifiedEmail(email.folded)) !== undefined) {
      throw new DomainError('conflict', { detail: 'This address has an account.' });
    }
    const { code, secretHash } = newInvitationCode(id);
    const now = this.clock.now();
    const row = await this.invitations.insert({
      _id: id,
      email: email.address,
      address: email.folded,
      secret_hash: secretHash,
      invited_by: caller.actor,
      created_at: now,
      expires_at: now + lifeMs,
    });
    const remove = async (): Promise<void> => {
      await this.invitations.remove(id);
    };
    try {
      await this.invitationMails.send(row, code, remove);
    } catch (error) {
      if (!(error instanceof MailDelayed)) await remove();
      throw error;
    }
    return row;
  }
}
