import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { UserDoc } from '../../users';
import { Attempts } from '../attempts/attempts';
import { AuthMethod } from '../sessions/session.collection';
import { ChallengeDoc } from './challenge.collection';
import { FactorNotices } from './factor-notices';
import { EmailFactor } from './email-factor';
import { EnrolledFactors, factorsOf } from './methods';
import { SecondFactor } from './second-factor';

/** Verifies a second factor after a correct password, and applies its effects to the account. */
@Injectable()
export class MfaVerification {
  constructor(
    private readonly secondFactor: SecondFactor,
    private readonly attempts: Attempts,
    private readonly mailboxes: EmailFactor,
    private readonly notices: FactorNotices,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  factors(user: UserDoc): EnrolledFactors {
    return factorsOf(user, this.config);
  }

  /**
   * Returns the authentication methods, including the password.
   * @throws DomainError `otp_failed`, `too_many_attempts`
   */
  async prove(user: UserDoc, otp: string, challenge: ChallengeDoc | undefined): Promise<readonly AuthMethod[]> {
    const method = await this.secondFactor.prove(user, otp, challenge);
    if (challenge?.purpose === 'login') await this.attempts.forgetFailures(user, typedAt(challenge, user));
    if (method === 'recovery_code') {
      await this.notices.tell(user, 'recovery-code-used');
      return ['pwd', 'recovery', 'mfa'];
    }
    if (method === 'email') await this.mailboxes.markVerified(user);
    return ['pwd', 'otp', 'mfa'];
  }
}

/** The name with which the login began. */
const typedAt = ({ by_address }: ChallengeDoc, { username, verified_email }: UserDoc): string =>
  by_address === true ? (verified_email ?? username) : username;
