import { Injectable } from '@nestjs/common';
import { DuplicateKey } from '../../store';
import { UserDoc, Users } from '../../users';
import { withTwoFactor } from './factor-fields';
import { FactorNotices } from './factor-notices';

/** What follows from a mailed code that came back: the address is its owner's, and may serve as a factor. */
@Injectable()
export class EmailFactor {
  constructor(
    private readonly users: Users,
    private readonly notices: FactorNotices,
  ) {}

  /** An address that another account has verified first stays with that account: the factor works, the login by address does not. */
  async markVerified(user: UserDoc): Promise<void> {
    if (user.verified_email !== undefined) return;
    try {
      await this.users.change(user._id, (row) => ({ ...row, verified_email: row.email.toLowerCase() }));
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
    }
  }

  async turnOn(user: UserDoc): Promise<void> {
    await this.users.change(user._id, (row) => withTwoFactor({ ...row, email_factor: true }));
    await this.markVerified(user);
    await this.notices.tellOwner(user._id, 'email-added');
  }

  /** Was it on? */
  async turnOff(userId: string): Promise<boolean> {
    let before = undefined as UserDoc | undefined; // set in the callback, which the compiler does not follow
    await this.users.change(userId, (row) => {
      before = row.email_factor ? row : undefined;
      return before && withTwoFactor({ ...before, email_factor: false });
    });
    if (before !== undefined) await this.notices.tell(before, 'email-removed');
    return before !== undefined;
  }
}
