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

/** A second factor after a right password: proof, and what follows from it for the account. */
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

  /** How it was proved, the password included. @throws DomainError `otp_failed`, `too_many_attempts`. */
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

/** What the login was begun with. */
const typedAt = ({ by_address }: ChallengeDoc, { username, verified_email }: UserDoc): string =>
  by_address === true ? (verified_email ?? username) : username;
