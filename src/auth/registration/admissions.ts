import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { DomainError } from '../../kernel';
import { INSTALLATION, installationCollection } from '../../installation';
import { Store } from '../../store';
import { EmailAddress } from '../../users';
import { InvitationDoc } from '../invitations/invitation.collection';
import { Invitations } from '../invitations/invitations';

/**
 * The reason for which a registration is permitted. `first`: only as the first administrator,
 * whatever REGISTRATION says; otherwise no account is created.
 */
export type Admission =
  | { readonly by: 'open' }
  | { readonly by: 'first' }
  | { readonly by: 'invitation'; readonly invitation: InvitationDoc };

/** REGISTRATION: decides who may create an account. */
@Injectable()
export class Admissions {
  constructor(
    private readonly store: Store,
    private readonly invitations: Invitations,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** @throws DomainError `permission_denied` */
  async toRegister(email: EmailAddress, code: string | undefined): Promise<Admission> {
    const { registration } = this.config.accounts;
    if (code === undefined || registration === 'closed') return this.withoutInvitation();
    const invitation = await this.invitations.of(code, email);
    if (invitation === undefined) throw notInvited();
    return { by: 'invitation', invitation };
  }

  /**
   * Like `toRegister`, for a registration confirmed by a mailed code.
   * @throws DomainError `permission_denied`
   */
  async withoutInvitation(): Promise<Admission> {
    const { registration, bootstrapAdmin } = this.config.accounts;
    if (registration === 'open') return { by: 'open' };
    if (bootstrapAdmin === 'first-user' && (await this.#isFresh())) return { by: 'first' };
    throw registration === 'closed' ? closed() : notInvited();
  }

  /**
   * An invitation revoked during the hashing of the password creates no account.
   * @throws DomainError `permission_denied`
   */
  async requireOpen(invitation: InvitationDoc): Promise<void> {
    if (!(await this.invitations.isOpen(invitation))) throw notInvited();
  }

  /**
   * Removes an invitation after its account was created. The account's id is taken, so the
   * invitation could not be used again.
   */
  async used(invitation: InvitationDoc): Promise<void> {
    await this.invitations.remove(invitation._id);
  }

  async #isFresh(): Promise<boolean> {
    const installation = await this.store.collection(installationCollection).find('_id', INSTALLATION);
    return installation !== undefined && installation.first_administrator === undefined;
  }
}

const closed = (): DomainError =>
  new DomainError('permission_denied', { detail: 'This service takes no registrations.' });

/** The same error for each reason, because the code may be a guess. */
export const notInvited = (): DomainError =>
  new DomainError('permission_denied', {
    detail: 'Registration needs an invitation to this address that is unused and not revoked.',
  });
