import { Injectable } from '@nestjs/common';
import { FactorChange, MailQueue, mailTexts } from '../../mail';
import { UserDoc, Users } from '../../users';

/** Tells an account's owner what has become of its factors (ASVS 6.3.7). Nothing waits for these mails. */
@Injectable()
export class FactorNotices {
  constructor(
    private readonly queue: MailQueue,
    private readonly users: Users,
  ) {}

  tell(user: UserDoc, change: FactorChange): void {
    this.queue.post(mailTexts.factorChanged(user.email, user.username, change));
  }

  async tellOwner(userId: string, change: FactorChange): Promise<void> {
    const user = await this.users.byId(userId);
    if (user !== undefined) this.tell(user, change);
  }
}
