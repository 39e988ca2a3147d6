import { Injectable } from '@nestjs/common';
import { Person } from '../../kernel';
import { UserDoc } from '../../users';
import { SessionAttempts } from '../attempts/session-attempts';
import { CodePurpose } from '../factors/challenge.collection';
import { Challenges } from '../factors/challenges';
import { EmailCodes } from '../factors/email-codes';

/** Mails the codes of a session, within the allowance of one session. */
@Injectable()
export class SessionMail {
  constructor(
    private readonly attempts: SessionAttempts,
    private readonly challenges: Challenges,
    private readonly emailCodes: EmailCodes,
  ) {}

  /** @throws DomainError `too_many_attempts`, `mail_unavailable` */
  send({ sessionId }: Person, user: UserDoc, purpose: CodePurpose): Promise<void> {
    return this.attempts.mail(sessionId, async () => {
      await this.emailCodes.send(user, await this.challenges.openForSession(sessionId, user._id, purpose));
    });
  }
}
