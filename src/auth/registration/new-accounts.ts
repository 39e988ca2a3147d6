import { Injectable } from '@nestjs/common';
import { DomainError, newId } from '../../kernel';
import { EmailAddress, UserDoc, Username } from '../../users';
import { InvitationDoc } from '../invitations/invitation.collection';
import { Passwords } from '../passwords';
import { AccountCreation, refusedIndex } from './account-creation';
import { Admission, Admissions, notInvited } from './admissions';

export interface ParsedRegistration {
  readonly username: Username;
  readonly email: EmailAddress;
  readonly password: string;
}

/** Creates accounts immediately at their registration. */
@Injectable()
export class NewAccounts {
  constructor(
    private readonly passwords: Passwords,
    private readonly accounts: AccountCreation,
    private readonly admissions: Admissions,
  ) {}

  /** @throws DomainError `user_exists`, `permission_denied`, `kms_unavailable` */
  async make(registration: ParsedRegistration, admission: Admission): Promise<void> {
    if (admission.by === 'invitation') await this.#invited(registration, admission.invitation);
    else await this.#open(registration, admission.by === 'first');
  }

  /**
   * The name is taken by another user, or by the caller's own interrupted registration. The latter
   * requires the same address and the correct password again.
   * @throws DomainError `user_exists`
   */
  async resume(holder: UserDoc, { email, password }: ParsedRegistration, admission: Admission): Promise<void> {
    const own = holder.state === 'pending' && holder.email === email.address;
    if (!own || !(await this.passwords.isRight(holder, password))) throw userExists();
    if (!(await this.accounts.resume(holder))) throw userExists();
    if (admission.by === 'invitation' && admission.invitation._id === holder._id) {
      await this.admissions.used(admission.invitation);
    }
  }

  async #open({ username, email, password }: ParsedRegistration, onlyFirst: boolean): Promise<void> {
    const id = newId();
    const hashed = await this.passwords.hash(password, id);
    try {
      await this.accounts.create({ id, username, email: email.address, ...hashed }, onlyFirst);
    } catch (error) {
      throw refusedIndex(error) === undefined ? error : userExists();
    }
  }

  /**
   * The account gets the invitation's id, which only one account can have: its insert consumes the
   * invitation.
   */
  async #invited({ username, email, password }: ParsedRegistration, invitation: InvitationDoc): Promise<void> {
    const id = invitation._id;
    const hashed = await this.passwords.hash(password, id);
    await this.admissions.requireOpen(invitation);
    try {
      const account = { id, username, email: email.address, verifiedEmail: email.folded, ...hashed };
      await this.accounts.create(account);
    } catch (error) {
      const index = refusedIndex(error);
      if (index === undefined) throw error;
      throw index === 'username' ? userExists() : notInvited();
    }
    await this.admissions.used(invitation);
  }
}

const userExists = (): DomainError => new DomainError('user_exists', { detail: 'This user name is taken.' });
