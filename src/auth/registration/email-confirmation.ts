import { Injectable } from '@nestjs/common';
import { audited, AuditSink, DomainError, notedIfRefused } from '../../kernel';
import { Checked, parseEmail, parseUsername, Users } from '../../users';
import { AccountCreation, refusedIndex } from './account-creation';
import { Admissions } from './admissions';
import { ConfirmingClients } from './confirming-clients';
import { PendingRegistrationDoc } from './pending-registration.collection';
import { PendingRegistrations } from './pending-registrations';

/** `gone`: another request confirmed it meanwhile. */
type Outcome = 'confirmed' | 'wrong' | 'gone' | 'name-taken';

export interface ConfirmationInput {
  readonly email: string;
  readonly otp: string;
  /** Default: the newest registration with the address. */
  readonly username?: string | undefined;
}

/** EMAIL_VERIFICATION=required: creates the account after its address is verified. */
@Injectable()
export class EmailConfirmation {
  constructor(
    private readonly pending: PendingRegistrations,
    private readonly clients: ConfirmingClients,
    private readonly accounts: AccountCreation,
    private readonly users: Users,
    private readonly admissions: Admissions,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Compares the code with that of one registration and creates its account; other registrations
   * with the address become void.
   * @throws DomainError `permission_denied`, `no_pending_registration`, `otp_failed`,
   * `too_many_attempts`, `user_exists` (the name was taken meanwhile)
   */
  async confirm(input: ConfirmationInput): Promise<void> {
    const row = await notedIfRefused(this.audit, CONFIRM, () => this.#meant(input));
    await audited(this.audit, CONFIRM, async () => {
      const outcome = await this.clients.try(async () => {
        const value = (await this.pending.try(row, () => this.#check(row, input.otp))) ?? 'gone';
        // A success does not clear failures, because those codes belonged to other registrations.
        return { settle: value === 'wrong' ? 'failed' : 'released', value };
      });
      if (outcome === 'wrong') throw new DomainError('otp_failed', { detail: 'The code is wrong or expired.' });
      if (outcome === 'gone') throw noRegistration();
      if (outcome === 'name-taken') {
        throw new DomainError('user_exists', {
          detail: 'This user name was taken in the meantime. Register another one.',
        });
      }
    });
  }

  async #meant({ email, username }: ConfirmationInput): Promise<PendingRegistrationDoc> {
    const address = parseEmail(email)?.folded;
    const name = username === undefined ? undefined : parseUsername(username);
    if (address === undefined || (name === undefined && username !== undefined)) throw noRegistration();
    const row = await this.pending.meant(address, name);
    if (row === undefined) throw noRegistration();
    return row;
  }

  async #check(row: PendingRegistrationDoc, otp: string): Promise<Checked<Outcome>> {
    if (!this.pending.isCode(row, otp)) return { settle: 'failed', value: 'wrong' };
    const outcome = await this.#create(row);
    if (outcome === 'confirmed') await this.pending.remove(await this.pending.of(row.address));
    if (outcome === 'name-taken') await this.pending.remove([row]);
    return { settle: outcome === 'wrong' ? 'failed' : 'cleared', value: outcome };
  }

  async #create({ _id, username, email, address, hashed_password, salt }: PendingRegistrationDoc): Promise<Outcome> {
    try {
      const { by } = await this.admissions.withoutInvitation();
      const account = { id: _id, username, email, verifiedEmail: address, hashed_password, salt };
      await this.accounts.create(account, by === 'first');
      return 'confirmed';
    } catch (error) {
      const index = refusedIndex(error);
      if (index === undefined) throw error;
      const account = await this.users.byId(_id);
      if (account !== undefined) return (await this.accounts.resume(account)) ? 'confirmed' : 'gone';
      // The address has an account, so its owner received no code: this code was guessed.
      return index === 'verified_email' ? 'wrong' : 'name-taken';
    }
  }
}

const CONFIRM = { action: 'account.confirm', actor: 'anonymous', gathers: true } as const;

const noRegistration = (): DomainError =>
  new DomainError('no_pending_registration', { detail: 'No registration with this address waits for a code.' });
