import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel';
import { MailQueue, mailTexts } from '../../mail';
import { Users } from '../../users';
import { minutesLeft } from '../code-life';
import { AddressMails, ReservedMail } from '../mails/address-mails';
import { PendingRegistrationDoc } from './pending-registration.collection';
import { NewRegistration, PendingRegistrations } from './pending-registrations';

/**
 * Mails of registrations that wait for a code. An address with an account is treated the same
 * except for the text of the mail: neither response nor timing reveals the account, or whether mail
 * works.
 */
@Injectable()
export class RegistrationMails {
  constructor(
    private readonly pending: PendingRegistrations,
    private readonly addressMails: AddressMails,
    private readonly users: Users,
    private readonly mails: MailQueue,
    private readonly clock: Clock,
  ) {}

  /** Stores the registration and mails its code, if the allowance of its address permits a mail. */
  async ask(registration: NewRegistration): Promise<void> {
    const { email } = registration;
    const isKnown = await this.#isKnown(email.folded);
    const reserved = await this.addressMails.reserve(email.address, isKnown ? 'known' : 'stranger');
    if (reserved.waitMs > 0) return;
    const row = await this.pending.add(registration);
    this.#post(row, isKnown, reserved);
  }

  /** Mails the code of a pending registration again, at most once a minute. */
  async askAgain(row: PendingRegistrationDoc): Promise<void> {
    const isKnown = await this.#isKnown(row.address);
    const noted = await this.pending.mailAgain(row);
    if (noted === undefined) return;
    this.#post(noted, isKnown, await this.addressMails.reserve(row.email, isKnown ? 'known' : 'stranger'));
  }

  async #isKnown(address: string): Promise<boolean> {
    return (await this.users.byVerifiedEmail(address)) !== undefined;
  }

  #post(row: PendingRegistrationDoc, isKnown: boolean, reserved: ReservedMail): void {
    if (!reserved.goesOut) return;
    const minutes = minutesLeft(row.expires_at, this.clock.now());
    const code = mailTexts.registrationCode(row.email, row.username, this.pending.code(row), minutes);
    this.mails.post(isKnown ? mailTexts.alreadyRegistered(row.email) : code, 'code', async () => {
      await this.pending.forgetMail(row);
      await reserved.giveBack();
    });
  }
}
