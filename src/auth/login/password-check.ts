import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { DomainError } from '../../kernel';
import { UserDoc } from '../../users';
import { Attempts } from '../attempts/attempts';
import { anyOf, factorsOf } from '../factors/methods';
import { Passwords } from '../passwords';

export interface ProvedPassword {
  readonly user: UserDoc;
  readonly factorNeeded: boolean;
}

/** A password as one counted attempt: of /login and of /step-up, which share the account's lockout. */
@Injectable()
export class PasswordCheck {
  constructor(
    private readonly attempts: Attempts,
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
        const factorNeeded = anyOf(factorsOf(user, this.config));
        return { settle: factorNeeded ? 'released' : 'cleared', value: { user, factorNeeded } };
      }),
    );
    if (proved === undefined) {
      throw new DomainError('login_failed', { detail: 'User name or password is wrong.' });
    }
    return proved;
  }
}
