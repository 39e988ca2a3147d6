import { Injectable } from '@nestjs/common';
import { audited, AuditSink, DomainError, Person } from '../../kernel';
import { Users } from '../../users';
import { EnrolmentProof } from '../factors/enrolment-proof';
import { EmailFactor } from '../factors/email-factor';
import { TokenIssuer, TokenPair } from '../sessions/token-issuer';
import { isNamed } from './named';

/** /verify-otp with a bearer token: enables two-factor login by e-mail. */
@Injectable()
export class EmailEnrolment {
  constructor(
    private readonly users: Users,
    private readonly proof: EnrolmentProof,
    private readonly mailboxes: EmailFactor,
    private readonly issuer: TokenIssuer,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Accepts only the code that this session requested to enable e-mail. The response replaces the
   * session's tokens and does not change its `auth_time`.
   * @throws DomainError `invalid_session`, `otp_failed`, `too_many_attempts`
   */
  async verify(caller: Person, username: string, otp: string): Promise<TokenPair> {
    const user = await this.users.byId(caller.ownerId);
    if (user === undefined || !isNamed(user, username)) throw new DomainError('invalid_session');
    return audited(this.audit, { action: 'factor.email-on', actor: user._id, gathers: true }, async () => {
      await this.proof.mailbox(caller, otp);
      await this.mailboxes.turnOn(user);
      return this.issuer.replace(caller.sessionId);
    });
  }
}
