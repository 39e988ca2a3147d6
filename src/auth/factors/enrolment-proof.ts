import { Injectable } from '@nestjs/common';
import { Person } from '../../kernel';
import { SessionAttempts } from '../attempts/session-attempts';
import { Challenges } from './challenges';
import { EmailCodes } from './email-codes';
import { TotpFactor } from './totp-factor';
import { wrongCode } from '../code-life';

/**
 * Checks codes that enable a factor. An access token suffices for an attempt, so failures count by
 * session; the account's budget is for callers who have proved its password.
 */
@Injectable()
export class EnrolmentProof {
  constructor(
    private readonly attempts: SessionAttempts,
    private readonly totp: TotpFactor,
    private readonly emailCodes: EmailCodes,
    private readonly challenges: Challenges,
  ) {}

  /**
   * Accepts only the code that was mailed to this session for this purpose.
   * @throws DomainError `otp_failed`, `too_many_attempts`
   */
  async mailbox({ sessionId }: Person, otp: string): Promise<void> {
    const challenge = await this.challenges.ofSession(sessionId, 'enable-email');
    await this.#counted(sessionId, async () => {
      if (challenge === undefined || !(await this.emailCodes.matches(challenge, otp))) return false;
      return this.challenges.consume(challenge);
    });
  }

  /** @throws as `mailbox`; `not_found` if no secret is pending */
  totpSecret({ sessionId, ownerId: userId }: Person, otp: string): Promise<void> {
    return this.#counted(sessionId, () => this.totp.confirm(userId, otp));
  }

  async #counted(sessionId: string, check: () => Promise<boolean>): Promise<void> {
    const isRight = await this.attempts.code(sessionId, async () => {
      const value = await check();
      return { settle: value ? 'cleared' : 'failed', value };
    });
    if (!isRight) throw wrongCode();
  }
}
