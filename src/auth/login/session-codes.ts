import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { audited, AuditSink, Clock, DomainError, Person, requireFreshProof } from '../../kernel';
import { UserDoc, Users } from '../../users';
import { CodePurpose } from '../factors/challenge.collection';
import { factorsOf } from '../factors/methods';
import { isNamed } from './named';
import { SessionMail } from './session-mail';

/** /send-otp with a bearer token: a code of that session, for one of two purposes. */
@Injectable()
export class SessionCodes {
  constructor(
    private readonly users: Users,
    private readonly mail: SessionMail,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * If e-mail is not a factor yet, the code enables it, and the fresh login is required here
   * instead of at its verification. If e-mail is a factor, the code is valid only for POST
   * /step-up, which serves sessions without a fresh login.
   * @throws DomainError `invalid_session`, `step_up_required`, `too_many_attempts`,
   * `mail_unavailable`
   */
  async send(caller: Person, username: string): Promise<void> {
    const user = await this.users.byId(caller.ownerId);
    if (user === undefined || !isNamed(user, username)) throw new DomainError('invalid_session');
    const purpose = this.#purpose(user);
    if (purpose === 'enable-email') requireFreshProof(caller, this.clock.now());
    const intent = { action: 'session.code-mail', actor: user._id, details: { purpose }, gathers: true } as const;
    await audited(this.audit, intent, () => this.mail.send(caller, user, purpose));
  }

  #purpose(user: UserDoc): CodePurpose {
    return factorsOf(user, this.config).email ? 'step-up' : 'enable-email';
  }
}
