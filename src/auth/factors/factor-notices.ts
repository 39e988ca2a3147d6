import { Injectable, Logger } from '@nestjs/common';
import { FactorChange, Mail, MailQueue, mailTexts } from '../../mail';
import { UserDoc, Users } from '../../users';
import { AddressMails } from '../mails/address-mails';
import { AskedMail } from '../mails/mail-shares';
import { provedAddress } from '../mails/mailbox';

/**
 * Notifies an account's owner of changes to its factors (ASVS 6.3.7). No request waits for these
 * mails. Unverified addresses get none, because a stranger may have entered them.
 */
@Injectable()
export class FactorNotices {
  readonly #log = new Logger('Mail');

  constructor(
    private readonly queue: MailQueue,
    private readonly users: Users,
    private readonly addressMails: AddressMails,
  ) {}

  /** Never throws because of the mail: the change has happened and is in the audit log. */
  async tell(user: UserDoc, change: FactorChange): Promise<void> {
    if (!provedAddress(user)) return;
    await this.#post(mailTexts.factorChanged(user.email, user.username, change), 'notice');
  }

  /**
   * Tells the former address, also one that nobody proved: its owner may be the one who registered.
   */
  async tellFormerAddress(former: UserDoc): Promise<void> {
    await this.#post(
      mailTexts.emailChanged(former.email, former.username),
      provedAddress(former) ? 'notice' : 'stranger',
    );
  }

  async tellOwner(userId: string, change: FactorChange): Promise<void> {
    const user = await this.users.byId(userId);
    if (user !== undefined) await this.tell(user, change);
  }

  async #post(mail: Mail, kind: AskedMail): Promise<void> {
    const reserved = await this.addressMails.reserve(mail.to, kind).catch(() => undefined);
    if (reserved?.goesOut === true) this.queue.post(mail, 'notice', () => reserved.giveBack());
    else this.#log.warn('a notice was not mailed: its address has had its mails of this hour');
  }
}
