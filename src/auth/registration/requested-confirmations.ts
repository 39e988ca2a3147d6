import { Injectable } from '@nestjs/common';
import { newId } from '../../kernel';
import { EmailAddress, Username } from '../../users';
import { Passwords } from '../passwords';
import { PendingRegistrations } from './pending-registrations';
import { RegistrationMails } from './registration-mails';

/** Starts a registration with EMAIL_VERIFICATION=required: mails a code. */
@Injectable()
export class RequestedConfirmations {
  constructor(
    private readonly passwords: Passwords,
    private readonly pending: PendingRegistrations,
    private readonly mails: RegistrationMails,
  ) {}

  /**
   * A repeated registration from the same network reuses the pending one: its code is mailed again
   * and stays valid.
   * The password is hashed before any step depends on the address, so that a known address takes
   * the same time.
   */
  async ask(username: Username, email: EmailAddress, password: string): Promise<void> {
    const waiting = await this.pending.again(email.folded, username);
    if (waiting?.email === email.address && (await this.passwords.isRight(waiting, password))) {
      await this.mails.askAgain(waiting);
      return;
    }
    const id = newId();
    await this.mails.ask({ id, username, email, ...(await this.passwords.hash(password, id)) });
  }
}
