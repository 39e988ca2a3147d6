import { Injectable } from '@nestjs/common';
import { audited, AuditIntent, AuditSink, DomainError } from '../../kernel';
import { UserDoc, Users } from '../../users';
import { AccountCreation } from '../registration/account-creation';
import { ClientInfo } from '../sessions/session-client';
import { TokenIssuer, TokenPair } from '../sessions/token-issuer';
import { FactorRequest, MfaChallenges } from './mfa-challenges';
import { PasswordCheck } from './password-check';

export interface LoginInput {
  /** User name or verified e-mail address. */
  readonly username: string;
  readonly password: string;
}

/** POST /login: checks the password, and completes the login if no second factor is enabled. */
@Injectable()
export class Login {
  constructor(
    private readonly users: Users,
    private readonly passwords: PasswordCheck,
    private readonly accounts: AccountCreation,
    private readonly factorRequests: MfaChallenges,
    private readonly issuer: TokenIssuer,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Treats an unknown name like a known one: attempts are counted, a hash is computed, and the
   * error is the same.
   * @throws DomainError `login_failed`, `too_many_attempts`, `account_disabled` (only after the
   * correct password)
   */
  async login({ username, password }: LoginInput, client: ClientInfo): Promise<TokenPair | FactorRequest> {
    const found = await this.users.byLogin(username);
    return audited(this.audit, intent(found), async () => {
      const { user, factorNeeded } = await this.passwords.prove(found, username, password);
      if (user.state === 'disabled') throw new DomainError('account_disabled');
      // Completes an interrupted registration, so that nobody logs in without a user key.
      const ready = await this.accounts.finish(user);
      return factorNeeded ? this.factorRequests.open(ready, username) : this.issuer.open(ready, ['pwd'], client);
    });
  }
}

const intent = (user: UserDoc | undefined): AuditIntent => ({
  action: 'login.password',
  actor: user?._id ?? 'anonymous',
  gathers: true,
});
