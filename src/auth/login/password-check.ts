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

/** A password as one counted attempt: of /login by what was typed, of /step-up by session. */
@Injectable()
export class PasswordCheck {
  constructor(
    private readonly attempts: Attempts,
    private readonly sessionAttempts: SessionAttempts,
    private readonly passwords: Passwords,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * With a second factor on, wrong passwords are forgotten when all of it is done (`Attempts.forgetFailures`) and not before.
   * @throws DomainError `login_failed`, `too_many_attempts`, `overloaded`.
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
   * The same for an open session, which no lockout of the account stops. The session forgets wrong passwords when its tokens are replaced.
   * @throws as `prove`; `invalid_session`.
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
