import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { DomainError } from '../../kernel';
import { UserDoc } from '../../users';
import { Attempts } from '../attempts/attempts';
import { FactorNotices } from '../factors/factor-notices';
import { anyOf, factorsOf } from '../factors/methods';
import { SecondFactor } from '../factors/second-factor';
import { ConfirmingClients } from '../registration/confirming-clients';
import { PasswordResetCodes, ProvedReset } from './password-reset-codes';
import { wrongCode } from '../code-life';

/**
 * What a password reset is proved by: the mailbox, and where a second factor is on, one that is not
 * the mailbox again.
 */
@Injectable()
export class ResetProof {
  constructor(
    private readonly codes: PasswordResetCodes,
    private readonly clients: ConfirmingClients,
    private readonly secondFactor: SecondFactor,
    private readonly attempts: Attempts,
    private readonly notices: FactorNotices,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Wrong codes count by the client's network, whatever the address.
   * @throws DomainError `otp_failed`, `too_many_attempts`.
   */
  async ofMailbox(email: string, code: string): Promise<ProvedReset> {
    const proved = await this.clients.try(async () => {
      const value = await this.codes.proved(email, code);
      return { settle: value === undefined ? 'failed' : 'released', value };
    });
    if (proved === undefined) throw wrongCode();
    return proved;
  }

  /**
   * Checks the second factor, then uses the code up: a mistyped factor may be tried again with the
   * same code, out of the account's budget. No challenge is given, so no code by e-mail is taken.
   * @throws DomainError `otp_failed`, `too_many_attempts`.
   */
  async spend({ user, byOperator, row }: ProvedReset, otp: string | undefined): Promise<void> {
    const factors = factorsOf(user, this.config);
    if (!byOperator && anyOf(factors)) await this.#proveFactor(user, otp, factors.totp);
    if (!(await this.codes.consume(row))) throw wrongCode();
  }

  /**
   * Whoever locked the account by wrong passwords does not keep its owner out. Wrong second factors
   * still count.
   */
  async forgetFailures(user: UserDoc): Promise<void> {
    for (const name of [user.username, user.verified_email]) {
      if (name !== undefined) await this.attempts.forgetFailures(user, name);
    }
  }

  async #proveFactor(user: UserDoc, otp: string | undefined, hasTotp: boolean): Promise<void> {
    if (otp === undefined) {
      const wanted = hasTotp ? 'a code of your authenticator app or a recovery code' : 'a recovery code';
      throw new DomainError('otp_failed', { detail: `A second factor is on: send ${wanted} as \`otp\`.` });
    }
    const method = await this.secondFactor.prove(user, otp, undefined);
    if (method === 'recovery_code') await this.notices.tell(user, 'recovery-code-used');
  }
}
