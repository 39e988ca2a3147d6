import { Injectable } from '@nestjs/common';
import { audited, AuditSink, DomainError } from '../../kernel';
import { MailQueue, mailTexts } from '../../mail';
import { Checked, parseEmail, Users } from '../../users';
import { AccountCreation, refusedIndex } from './account-creation';
import { PendingRegistrationDoc } from './pending-registration.collection';
import { NewRegistration, PENDING_MINUTES, PendingRegistrations } from './pending-registrations';
import { RegistrationAddresses } from './registration-addresses';

/** `gone`: another request confirmed it meanwhile. */
type Outcome = 'confirmed' | 'wrong' | 'gone' | 'name-taken';

/** EMAIL_VERIFICATION=required: an account comes into being when its address has been proved. */
@Injectable()
export class EmailConfirmation {
  constructor(
    private readonly pending: PendingRegistrations,
    private readonly addresses: RegistrationAddresses,
    private readonly accounts: AccountCreation,
    private readonly users: Users,
    private readonly mails: MailQueue,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Keeps the registration and mails its code. For an address that has an account everything is the same, but for what the mail says:
   * neither answer nor time tell a stranger, and whether mail works does not show either.
   */
  async ask(registration: NewRegistration): Promise<void> {
    const { address, folded } = registration.email;
    if (!(await this.addresses.mayMail(folded))) return;
    const row = await this.pending.add(registration);
    const holder = await this.users.byVerifiedEmail(folded);
    const code = this.pending.code(row);
    const invitation = mailTexts.registrationCode(address, row.username, code, PENDING_MINUTES);
    this.mails.post(holder === undefined ? invitation : mailTexts.alreadyRegistered(address));
  }

  /**
   * Makes the account whose code this is; the other registrations with the address are void then.
   * @throws DomainError `no_pending_registration`, `otp_failed`, `too_many_attempts`, `user_exists` (the name was taken meanwhile).
   */
  async confirm(email: string, otp: string): Promise<void> {
    const address = parseEmail(email)?.folded;
    const open = address === undefined ? [] : await this.pending.of(address);
    if (address === undefined || open.length === 0) throw noRegistration();
    await audited(this.audit, { action: 'account.confirm', actor: 'anonymous', gathers: true }, async () => {
      const outcome = await this.addresses.try(address, () => this.#check(open, otp));
      if (outcome === 'wrong') throw new DomainError('otp_failed', { detail: 'The code is wrong or too old.' });
      if (outcome === 'gone') throw noRegistration();
      if (outcome === 'name-taken') {
        throw new DomainError('user_exists', { detail: 'This user name was taken meanwhile. Register another one.' });
      }
    });
  }

  async #check(open: readonly PendingRegistrationDoc[], otp: string): Promise<Checked<Outcome>> {
    const row = this.pending.matching(open, otp.replace(/\s/g, ''));
    if (row === undefined) return { settle: 'failed', value: 'wrong' };
    const outcome = await this.#create(row);
    if (outcome === 'confirmed') await this.pending.remove(open);
    if (outcome === 'name-taken') await this.pending.remove([row]);
    return { settle: outcome === 'wrong' ? 'failed' : 'cleared', value: outcome };
  }

  async #create({ _id, username, email, address, hashed_password, salt }: PendingRegistrationDoc): Promise<Outcome> {
    try {
      await this.accounts.create({ id: _id, username, email, verifiedEmail: address, hashed_password, salt });
      return 'confirmed';
    } catch (error) {
      const index = refusedIndex(error);
      if (index === undefined) throw error;
      const account = await this.users.byId(_id);
      if (account !== undefined) return (await this.accounts.resume(account)) ? 'confirmed' : 'gone';
      // The address has an account, so its owner got no code: this one was guessed.
      return index === 'verified_email' ? 'wrong' : 'name-taken';
    }
  }
}

const noRegistration = (): DomainError =>
  new DomainError('no_pending_registration', { detail: 'No registration with this address waits for a code.' });
