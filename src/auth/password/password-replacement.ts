import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel';
import { FactorChange } from '../../mail';
import { UserDoc, Users } from '../../users';
import { FactorNotices } from '../factors/factor-notices';
import { HashedPassword } from '../passwords';
import { AccessRevocation } from '../sessions/access-revocation';

export interface NewPassword {
  readonly hashed: HashedPassword;
  /** What the owner is told. */
  readonly notice: FactorChange;
  /** A session that goes on. */
  readonly keep?: string;
  /** What else changes in the same write. */
  readonly edit?: (user: UserDoc) => UserDoc;
}

/**
 * Puts a new password in the place of the present one, ends what the former one has opened, and
 * tells the owner.
 */
@Injectable()
export class PasswordReplacement {
  constructor(
    private readonly users: Users,
    private readonly access: AccessRevocation,
    private readonly notices: FactorNotices,
    private readonly clock: Clock,
  ) {}

  /**
   * False where the account has another password by now than `seen` has, or is not active any more.
   */
  async replace(seen: UserDoc, { hashed, notice, keep, edit = (user) => user }: NewPassword): Promise<boolean> {
    const now = await this.users.change(seen._id, (user) => {
      if (user.hashed_password !== seen.hashed_password || user.state !== 'active') return undefined;
      const password_changed_at = Math.max(this.clock.now(), (user.password_changed_at ?? 0) + 1);
      return { ...edit(user), ...hashed, password_changed_at };
    });
    if (now?.hashed_password !== hashed.hashed_password) return false;
    await this.access.endAll(seen._id, keep);
    await this.notices.tell(now, notice);
    return true;
  }
}
