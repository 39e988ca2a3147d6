import { Injectable } from '@nestjs/common';
import { isDomainError, UserDataHandler } from '../kernel';
import { OwnerKeys, Sealer, versionIn } from '../keys/user-keys';
import { UserDoc, Users } from '../users';
import { Challenges } from './factors/challenges';
import { withoutTotp, withTwoFactor } from './factors/factor-fields';
import { RecoveryCodes } from './factors/recovery-codes';
import { openTotpSecret, sealTotpSecret } from './factors/totp-secret';

const SEALED = ['totp_secret', 'totp_pending'] as const;

/** Re-encrypts, counts and erases a user's second factors. The account's row itself stays. */
@Injectable()
export class FactorsUserData implements UserDataHandler {
  readonly name = 'second-factors';
  readonly collections = ['users'];

  constructor(
    private readonly users: Users,
    private readonly sealer: Sealer,
    private readonly recoveryCodes: RecoveryCodes,
    private readonly challenges: Challenges,
  ) {}

  /**
   * Leaves a value that does not decrypt unchanged. Rewrites a row even if nothing is re-encrypted:
   * a writer that has read it, and encrypts a first secret under the previous key version, then
   * fails its compare-and-set.
   */
  async reencrypt(userId: string): Promise<number> {
    for (;;) {
      // Read before the key row; a change in between makes the replace fail, and the loop repeats.
      const user = await this.users.byId(userId);
      if (user === undefined) return 0;
      const { fields, isRenewed } = await this.sealer.with(userId, (keys) => {
        const renewed = renewedFields(keys, user);
        return { fields: renewed, isRenewed: SEALED.some((field) => versionIn(user[field]) >= keys.version) };
      });
      const count = Object.keys(fields).length;
      if (isRenewed && count === 0) return 0;
      if ((await this.users.replace({ ...user, ...fields })) !== undefined) return count;
    }
  }

  async countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    const user = await this.users.byId(userId);
    // An account whose row fails MAC verification may hold a secret under any version.
    if (user === undefined && (await this.users.isForged(userId))) return versions.map(() => 1);
    const named = SEALED.map((field) => versionIn(user?.[field]));
    return versions.map((version) => named.filter((each) => each === version).length);
  }

  async eraseUser(userId: string): Promise<number> {
    await this.users.change(userId, (user) => withTwoFactor({ ...withoutTotp(user), email_factor: false }));
    return (await this.recoveryCodes.erase(userId)) + (await this.challenges.removeAll(userId));
  }
}

function renewedFields(keys: OwnerKeys, user: UserDoc): Partial<Pick<UserDoc, (typeof SEALED)[number]>> {
  const renewed = SEALED.flatMap((field) => {
    const value = user[field] === undefined ? undefined : renewedSecret(keys, user[field]);
    return value === undefined ? [] : [[field, value] as const];
  });
  return Object.fromEntries(renewed);
}

function renewedSecret(keys: OwnerKeys, sealed: string): string | undefined {
  if (versionIn(sealed) >= keys.version) return undefined;
  try {
    const secret = openTotpSecret(keys, sealed);
    try {
      return sealTotpSecret(keys, secret);
    } finally {
      secret.destroy();
    }
  } catch (error) {
    if (isDomainError(error, 'decryption_failed')) return undefined;
    throw error;
  }
}
