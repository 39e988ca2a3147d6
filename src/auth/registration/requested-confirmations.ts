import { Injectable } from '@nestjs/common';
import { newId } from '../../kernel';
import { EmailAddress, Username } from '../../users';
import { Passwords } from '../passwords';
import { PendingRegistrations } from './pending-registrations';
import { RegistrationMails } from './registration-mails';

/** What a registration asks for with EMAIL_VERIFICATION=required: a mail with a code. */
@Injectable()
export class RequestedConfirmations {
  constructor(
    private readonly passwords: Passwords,
    private readonly pending: PendingRegistrations,
    private readonly mails: RegistrationMails,
  ) {}

  /**
   * The same registration again, from the same network, is the one that waits: its code is mailed again, and none of it is void. The
   * password is hashed before anything depends on the address: a known one takes as long as another.
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
