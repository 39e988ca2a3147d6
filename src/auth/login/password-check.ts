import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { DomainError, Person } from '../../kernel';
import { UserDoc } from '../../users';
import { Attempts } from '../attempts/attempts';
import { SessionAttempts } from '../attempts/session-attempts';
import { anyOf, factorsOf } from '../factors/methods';
import { Passwords } from '../passwords';

export interface ProvedPassword {
  readonly user: UserDoc;
  readonly factorNeeded: boolean;
}

/** Checks a password as one counted attempt: in /login by the text sent, in /step-up by session. */
@Injectable()
export class PasswordCheck {
  constructor(
    private readonly attempts: Attempts,
    private readonly sessionAttempts: SessionAttempts,
    private readonly passwords: Passwords,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * With a second factor enabled, wrong passwords are cleared only after the complete login
   * (`Attempts.forgetFailures`).
   * @throws DomainError `login_failed`, `too_many_attempts`, `overloaded`
   */
  async prove(user: UserDoc | undefined, name: string, password: string): Promise<ProvedPassword> {
    await this.attempts.requireUnlocked(user, name);
    const proved = await this.passwords.inTurn(name.toLowerCase(), (isRight) =>
      this.attempts.password(user, name, async () => {
        if (!(await isRight(user, password)) || user === undefined) return { settle: 'failed', value: undefined };
        const factorNeeded = this.#factorNeeded(user);
        return { settle: factorNeeded ? 'released' : 'cleared', value: { user, factorNeeded } };
      }),
    );
    return known(proved);
  }

  /**
   * Like `prove`, for an open session, which a lockout of the account does not block. Wrong
   * passwords are cleared when the session's tokens are replaced.
   * @throws as `prove`; `invalid_session`
   */
  async proveAgain({ sessionId }: Person, user: UserDoc, password: string): Promise<ProvedPassword> {
    await this.sessionAttempts.requireUnlocked(sessionId);
    const proved = await this.passwords.inTurn(user.username, (isRight) =>
      this.sessionAttempts.password(sessionId, async () => {
        if (!(await isRight(user, password))) return { settle: 'failed', value: undefined };
        return { settle: 'released', value: { user, factorNeeded: this.#factorNeeded(user) } };
      }),
    );
    return known(proved);
  }

  #factorNeeded(user: UserDoc): boolean {
    return anyOf(factorsOf(user, this.config));
  }
}

function known(proved: ProvedPassword | undefined): ProvedPassword {
  if (proved !== undefined) return proved;
  throw new DomainError('login_failed', { detail: 'User name or password is wrong.' });
}
