import { Injectable } from '@nestjs/common';
import { audited, AuditSink, DomainError, Person } from '../../kernel';
import { UserDoc, Users } from '../../users';
import { Challenges } from '../factors/challenges';
import { MfaVerification } from '../factors/mfa-verification';
import { AuthMethod } from '../sessions/session.collection';
import { TokenIssuer, TokenPair } from '../sessions/token-issuer';
import { PasswordCheck } from './password-check';

export interface StepUpInput {
  readonly password: string;
  /** E-mail, TOTP or recovery code; required if a second factor is enabled. */
  readonly otp: string | undefined;
}

/**
 * POST /step-up: authenticates a session's owner again. Wrong passwords count by session, codes in
 * the account's second-factor budget.
 */
@Injectable()
export class StepUp {
  constructor(
    private readonly users: Users,
    private readonly passwords: PasswordCheck,
    private readonly challenges: Challenges,
    private readonly proof: MfaVerification,
    private readonly issuer: TokenIssuer,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Replaces the session's tokens.
   * @throws DomainError `login_failed`, `otp_failed`, `too_many_attempts`, `invalid_session`
   */
  async stepUp(caller: Person, { password, otp }: StepUpInput): Promise<TokenPair> {
    const found = await this.users.byId(caller.ownerId);
    if (found === undefined) throw new DomainError('invalid_session');
    return audited(this.audit, { action: 'session.step-up', actor: found._id, gathers: true }, async () => {
      const { user, factorNeeded } = await this.passwords.proveAgain(caller, found, password);
      const amr = factorNeeded ? await this.#secondFactor(caller, user, otp) : (['pwd'] as const);
      return this.issuer.replace(caller.sessionId, amr);
    });
  }

  async #secondFactor(caller: Person, user: UserDoc, otp: string | undefined): Promise<readonly AuthMethod[]> {
    // No guess was made, so none is counted.
    if (otp === undefined) throw new DomainError('otp_failed', { detail: 'Send `otp` too: a second factor is on.' });
    return this.proof.prove(user, otp, await this.challenges.ofSession(caller.sessionId, 'step-up'));
  }
}
