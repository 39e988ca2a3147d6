import { Injectable } from '@nestjs/common';
import { audited, AuditSink, Clock } from '../../kernel';
import { MailQueue, mailTexts } from '../../mail';
import { parseEmail, Users } from '../../users';
import { minutesLeft } from '../code-life';
import { AddressMails } from '../mails/address-mails';
import { PasswordResetCodes } from './password-reset-codes';

/**
 * POST /password/forgot. Only an address that its owner has proved resets a password. For any other
 * address the same rows are read and written, and nothing waits for the mail: neither answer nor
 * time tell whether there is an account.
 */
@Injectable()
export class ForgottenPasswords {
  constructor(
    private readonly users: Users,
    private readonly codes: PasswordResetCodes,
    private readonly addressMails: AddressMails,
    private readonly mails: MailQueue,
    private readonly clock: Clock,
    private readonly audit: AuditSink,
  ) {}

  async ask(text: string): Promise<void> {
    const intent = { action: 'password.forgot', actor: 'anonymous', gathers: true } as const;
    const email = parseEmail(text);
    if (email === undefined) return;
    await audited(this.audit, intent, async () => {
      const user = await this.users.byVerifiedEmail(email.folded);
      const reset = await this.codes.open(email.folded);
      if (reset === undefined) return;
      const reserved = await this.addressMails.reserve(email.address, 'stranger');
      if (!reserved.goesOut || user?.state !== 'active') return;
      const minutes = minutesLeft(reset.expires_at, this.clock.now());
      const code = this.codes.code(reset, user);
      this.mails.post(mailTexts.passwordResetCode(user.email, user.username, code, minutes), 'code', () =>
        reserved.giveBack(),
      );
    });
  }
}
