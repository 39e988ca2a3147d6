import { Injectable } from '@nestjs/common';
import { DuplicateKey } from '../../store';
import { UserDoc, Users } from '../../users';
import { withTwoFactor } from './factor-fields';
import { FactorNotices } from './factor-notices';

/** Effects of a correct mailed code: the address is verified and may serve as a factor. */
@Injectable()
export class EmailFactor {
  constructor(
    private readonly users: Users,
    private readonly notices: FactorNotices,
  ) {}

  /**
   * If another account has verified the address first, it keeps the address: the factor works, the
   * login by address does not.
   */
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

  /** Returns whether the factor was enabled. */
  async turnOff(userId: string): Promise<boolean> {
    // set in the callback, which the compiler does not follow
    let before = undefined as UserDoc | undefined;
    await this.users.change(userId, (row) => {
      before = row.email_factor ? row : undefined;
      return before && withTwoFactor({ ...before, email_factor: false });
    });
    if (before !== undefined) await this.notices.tell(before, 'email-removed');
    return before !== undefined;
  }
}
