import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { parseRecoveryCode, typedCode } from '../../crypto';
import { UserDoc } from '../../users';
import { Attempts } from '../attempts/attempts';
import { ChallengeDoc } from './challenge.collection';
import { Challenges } from './challenges';
import { EmailCodes } from './email-codes';
import { factorsOf, FactorMethod } from './methods';
import { RecoveryCodes } from './recovery-codes';
import { TotpFactor } from './totp-factor';
import { wrongCode } from '../code-life';

const SIX_DIGITS = /^\d{6}$/;

/**
 * Checks codes against all factors of an account. Each check, whatever the factor and the route,
 * uses one budget of the account, reserved before the comparison.
 */
@Injectable()
export class SecondFactor {
  constructor(
    private readonly attempts: Attempts,
    private readonly totp: TotpFactor,
    private readonly emailCodes: EmailCodes,
    private readonly recoveryCodes: RecoveryCodes,
    private readonly challenges: Challenges,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Returns the factor that `otp` proves; consumes the code and the challenge.
   * @throws DomainError `otp_failed`, `too_many_attempts`
   */
  async prove(user: UserDoc, otp: string, challenge: ChallengeDoc | undefined): Promise<FactorMethod> {
    const code = typedCode(otp);
    return this.#counted(user._id, () => this.#matching(user, code, challenge));
  }

  async #counted(userId: string, check: () => Promise<FactorMethod | undefined>): Promise<FactorMethod> {
    const proved = await this.attempts.secondFactor(userId, async () => {
      const value = await check();
      return { settle: value === undefined ? 'failed' : 'cleared', value };
    });
    if (proved === undefined) throw wrongCode();
    return proved;
  }

  async #matching(user: UserDoc, code: string, challenge: ChallengeDoc | undefined): Promise<FactorMethod | undefined> {
    if (SIX_DIGITS.test(code)) return this.#digits(user, code, challenge);
    if (parseRecoveryCode(code) === undefined || !(await this.recoveryCodes.spend(user, code))) return undefined;
    return (await this.#ended(challenge)) ? 'recovery_code' : undefined;
  }

  async #digits(user: UserDoc, code: string, challenge: ChallengeDoc | undefined): Promise<FactorMethod | undefined> {
    const factors = factorsOf(user, this.config);
    if (factors.totp && (await this.totp.accept(user, code))) {
      return (await this.#ended(challenge)) ? 'totp' : undefined;
    }
    if (!factors.email || challenge === undefined) return undefined;
    return (await this.#answersMail(challenge, code)) ? 'email' : undefined;
  }

  async #answersMail(challenge: ChallengeDoc, code: string): Promise<boolean> {
    return (await this.emailCodes.matches(challenge, code)) && (await this.challenges.consume(challenge));
  }

  /**
   * Any factor ends the challenge of a login. A session's mailed code stays valid if another factor
   * was used.
   */
  async #ended(challenge: ChallengeDoc | undefined): Promise<boolean> {
    return challenge?.purpose !== 'login' || this.challenges.consume(challenge);
  }
}
