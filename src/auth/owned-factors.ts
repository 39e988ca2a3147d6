import { Injectable } from '@nestjs/common';
import { envelopeVersion } from '../crypto';
import { ciphertext, isDomainError, UserOwned } from '../kernel';
import { OwnerKeys, Sealer } from '../keys/user';
import { UserDoc, Users } from '../users';
import { Challenges } from './factors/challenges';
import { withoutTotp, withTwoFactor } from './factors/factor-fields';
import { RecoveryCodes } from './factors/recovery-codes';
import { openTotpSecret, sealTotpSecret } from './factors/totp-secret';

const SEALED = ['totp_secret', 'totp_pending'] as const;

/** What happens to a user's second factors when the user's key changes or the account goes. The account's row itself stays. */
@Injectable()
export class OwnedFactors implements UserOwned {
  readonly name = 'second-factors';

  constructor(
    private readonly users: Users,
    private readonly sealer: Sealer,
    private readonly recoveryCodes: RecoveryCodes,
    private readonly challenges: Challenges,
  ) {}

  /** Factors hold no keys of their own: their secrets are sealed under the user key itself. */
  rewrap(): Promise<number> {
    return Promise.resolve(0);
  }

  /** A value that does not open is left as it is. */
  async reseal(userId: string): Promise<number> {
    for (;;) {
      // Read before the key row; a change in between makes the replace fail, and it is done again.
      const user = await this.users.byId(userId);
      if (user === undefined) return 0;
      const fields = await this.sealer.with(userId, (keys) => renewedFields(keys, user));
      const count = Object.keys(fields).length;
      if (count === 0 || (await this.users.replace({ ...user, ...fields })) !== undefined) return count;
    }
  }

  async erase(userId: string): Promise<number> {
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
  if (envelopeVersion(ciphertext(Buffer.from(sealed, 'hex'))) >= keys.version) return undefined;
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
