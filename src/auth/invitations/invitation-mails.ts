import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { isoTime } from '../../kernel';
import { MailQueue, mailTexts } from '../../mail';
import { tooManyAttempts } from '../../users';
import { AddressMails } from '../mails/address-mails';
import { InvitationDoc } from './invitation.collection';

const MINUTES_LENGTH = 'YYYY-MM-DDThh:mm'.length;

/**
 * Mails invitations. They count in the allowance of their address, separately from the limits of
 * strangers.
 */
@Injectable()
export class InvitationMails {
  constructor(
    private readonly addressMails: AddressMails,
    private readonly mails: MailQueue,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Calls `lost` if the mail is dropped, even after the request.
   * @throws DomainError `too_many_attempts`, `mail_unavailable`
   */
  async send({ email, expires_at }: InvitationDoc, code: string, lost: () => Promise<void>): Promise<void> {
    const reserved = await this.addressMails.reserve(email, 'invitation');
    if (reserved.waitMs > 0) throw tooManyAttempts(reserved.waitMs);
    const until = `${isoTime(expires_at).slice(0, MINUTES_LENGTH).replace('T', ' ')} UTC`;
    await this.mails.send(mailTexts.invitation(email, code, this.config.http.publicUrl, until), async () => {
      await reserved.giveBack();
      await lost();
    });
  }
}
