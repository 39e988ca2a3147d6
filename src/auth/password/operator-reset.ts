import { Injectable } from '@nestjs/common';
import { randomSecret } from '../../crypto';
import { audited, AuditSink, DomainError } from '../../kernel';
import { UserDoc } from '../../users';
import { withoutTotp, withTwoFactor } from '../factors/factor-fields';
import { RecoveryCodes } from '../factors/recovery-codes';
import { Passwords } from '../passwords';
import { PasswordReplacement } from './password-replacement';
import { PasswordResetCodes } from './password-reset-codes';

/**
 * For an owner who lost the password, or all factors: an operator begins the reset and never
 * chooses the password (ASVS 6.4.6). The former password and the factors go first, so that nobody
 * who has one of them comes in before the owner.
 */
@Injectable()
export class OperatorReset {
  constructor(
    private readonly passwords: Passwords,
    private readonly replacement: PasswordReplacement,
    private readonly recoveryCodes: RecoveryCodes,
    private readonly codes: PasswordResetCodes,
    private readonly audit: AuditSink,
  ) {}

  /**
   * The code for POST /password/reset. Safe to repeat: only the newest code is good.
   * @throws DomainError `conflict`
   */
  reset(actor: string, user: UserDoc): Promise<string> {
    return audited(this.audit, { action: 'user.reset', actor, resource: `user/${user._id}` }, async () => {
      const hashed = await this.passwords.hash(randomSecret(32).toString('base64'), user._id);
      if (!(await this.replacement.replace(user, { hashed, notice: 'reset-by-operator', edit: withoutFactors }))) {
        throw new DomainError('conflict', { detail: 'The account is disabled, or changed just now.' });
      }
      await this.recoveryCodes.erase(user._id);
      return this.codes.issue(user);
    });
  }
}

function withoutFactors(user: UserDoc): UserDoc {
  const { recovery_batch: _codes, ...rest } = withTwoFactor({ ...withoutTotp(user), email_factor: false });
  return rest;
}
