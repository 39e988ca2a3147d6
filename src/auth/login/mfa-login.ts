import { Injectable } from '@nestjs/common';
import { audited, AuditIntent, AuditSink, DomainError, isDomainError, notedIfRefused } from '../../kernel';
import { UserDoc, Users } from '../../users';
import { ChallengeDoc } from '../factors/challenge.collection';
import { Challenges } from '../factors/challenges';
import { EmailCodes } from '../factors/email-codes';
import { MfaVerification } from '../factors/mfa-verification';
import { ClientInfo } from '../sessions/session-client';
import { TokenIssuer, TokenPair } from '../sessions/token-issuer';
import { isNamed } from './named';

interface OpenLogin {
  readonly user: UserDoc;
  readonly challenge: ChallengeDoc;
}

/** /send-otp and /verify-otp with the `mfa_token` from /login. */
@Injectable()
export class MfaLogin {
  constructor(
    private readonly users: Users,
    private readonly challenges: Challenges,
    private readonly emailCodes: EmailCodes,
    private readonly proof: MfaVerification,
    private readonly issuer: TokenIssuer,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Mails the same code each time.
   * @throws DomainError `invalid_session`, `permission_denied` (e-mail is no factor of this
   * account), `too_many_attempts`, `mail_unavailable`
   */
  async sendCode(mfaToken: string, username: string): Promise<void> {
    const look = () => this.#openForMail(mfaToken, username);
    const { user, challenge } = await notedIfRefused(this.audit, codeMail('anonymous'), look);
    await audited(this.audit, codeMail(user._id), () => this.emailCodes.send(user, challenge));
  }

  /**
   * Completes the login.
   * @throws DomainError `otp_failed` (also for an ended login), `too_many_attempts`,
   * `account_disabled`
   */
  async verify(mfaToken: string, username: string, otp: string, client: ClientInfo): Promise<TokenPair> {
    const { user, challenge } = await this.#open(mfaToken, username).catch((error: unknown) => this.#refuse(error));
    return audited(this.audit, { ...SECOND_FACTOR, actor: user._id }, async () => {
      const amr = await this.proof.prove(user, otp, challenge);
      return this.issuer.open(user, amr, client);
    });
  }

  /** For an ended login the error says that the code failed; its detail gives the reason. */
  #refuse(error: unknown): never {
    if (!isDomainError(error)) throw error;
    const refusal = isDomainError(error, 'invalid_session') ? asFailedCode(error) : error;
    this.audit.note({ ...SECOND_FACTOR, actor: 'anonymous', details: { code: refusal.code } }, 'refused');
    throw refusal;
  }

  async #openForMail(mfaToken: string, username: string): Promise<OpenLogin> {
    const login = await this.#open(mfaToken, username);
    if (!this.proof.factors(login.user).email) {
      throw new DomainError('permission_denied', { detail: 'Codes by e-mail are not turned on for this account.' });
    }
    if (this.challenges.usedUp(login.challenge)) {
      throw new DomainError('invalid_session', { detail: 'Too many wrong codes. Log in again.' });
    }
    return login;
  }

  async #open(mfaToken: string, username: string): Promise<OpenLogin> {
    const challenge = await this.challenges.byMfaToken(mfaToken);
    const user = await this.users.byId(challenge.user_id);
    if (user === undefined || user.state === 'erasing' || !isNamed(user, username))
      throw new DomainError('invalid_session');
    if (user.state === 'disabled') throw new DomainError('account_disabled');
    // Another password took the place of the one that began this login.
    if (challenge.password_changed_at !== user.password_changed_at) throw new DomainError('invalid_session');
    return { user, challenge };
  }
}

const SECOND_FACTOR = { action: 'login.second-factor', gathers: true } as const;

const codeMail = (actor: string): AuditIntent => ({ action: 'login.code-mail', actor, gathers: true });

const asFailedCode = ({ detail = 'There is no such login. Log in again.' }: DomainError): DomainError =>
  new DomainError('otp_failed', { detail });
