import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { parseUsername, UserDoc } from '../../users';
import { Challenges } from '../factors/challenges';
import { EmailCodes } from '../factors/email-codes';
import { factorsOf, FactorMethod, methodsOf } from '../factors/methods';
import { RecoveryCodes } from '../factors/recovery-codes';

/** The response to a correct password if a second factor is enabled. */
export interface FactorRequest {
  readonly message: '2FA required';
  readonly username: string;
  readonly mfa_token: string;
  readonly methods: readonly FactorMethod[];
  /** True if a code was mailed now. */
  readonly otp_sent: boolean;
}

/** Opens the second step of a login. */
@Injectable()
export class MfaChallenges {
  constructor(
    private readonly challenges: Challenges,
    private readonly emailCodes: EmailCodes,
    private readonly recoveryCodes: RecoveryCodes,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * If e-mail is the only factor, its code is mailed at once. Recovery codes are a fallback and no
   * factor.
   */
  async open(user: UserDoc, typed: string): Promise<FactorRequest> {
    const factors = factorsOf(user, this.config);
    const challenge = await this.challenges.openLogin(user, parseUsername(typed) === undefined);
    const mailNow = factors.email && !factors.totp;
    return {
      message: '2FA required',
      username: user.username,
      mfa_token: this.challenges.mfaToken(challenge),
      methods: methodsOf(factors, await this.recoveryCodes.left(user)),
      otp_sent: mailNow && (await this.emailCodes.sendIfPossible(user, challenge)),
    };
  }
}
