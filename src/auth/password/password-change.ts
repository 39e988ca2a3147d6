import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { audited, AuditSink, DomainError, Person } from '../../kernel';
import { Users } from '../../users';
import { PasswordCheck } from '../login/password-check';
import { requireStrongPassword } from '../password-rules';
import { Passwords } from '../passwords';
import { PasswordReplacement } from './password-replacement';

/**
 * The password may be hashed anew or changed by another request between its proof and the write.
 */
const ATTEMPTS = 3;

export interface PasswordChangeInput {
  readonly current: string;
  readonly next: string;
}

/** POST /password/change. */
@Injectable()
export class PasswordChange {
  constructor(
    private readonly users: Users,
    private readonly check: PasswordCheck,
    private readonly passwords: Passwords,
    private readonly replacement: PasswordReplacement,
    private readonly audit: AuditSink,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * A wrong current password counts by session, as at /step-up. The session that asks goes on, all
   * others end.
   * @throws DomainError `weak_password`, `login_failed`, `too_many_attempts`, `overloaded`,
   * `conflict`.
   */
  async change(caller: Person, input: PasswordChangeInput): Promise<void> {
    const user = await this.users.byId(caller.ownerId);
    if (user === undefined) throw new DomainError('invalid_session');
    requireStrongPassword(input.next, this.config.passwords.rule, user, '/new_password');
    const what = { action: 'password.change', actor: caller.actor, resource: `user/${caller.ownerId}` } as const;
    await audited(this.audit, { ...what, gathers: true }, () => this.#change(caller, input));
  }

  /** The former password is proved against the row that the write is conditional on. */
  async #change(caller: Person, { current, next }: PasswordChangeInput): Promise<void> {
    for (let tries = 0; tries < ATTEMPTS; tries += 1) {
      const user = await this.users.byId(caller.ownerId);
      if (user === undefined) throw new DomainError('invalid_session');
      await this.check.proveAgain(caller, user, current);
      const hashed = await this.passwords.hash(next, user._id);
      const change = { hashed, notice: 'password-changed', keep: caller.sessionId } as const;
      if (await this.replacement.replace(user, change)) return;
    }
    throw new DomainError('conflict', { detail: 'The account changed during the request. Retry.' });
  }
}
