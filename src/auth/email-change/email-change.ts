import { Injectable } from '@nestjs/common';
import { audited, AuditSink, DomainError, Person } from '../../kernel';
import { mailTexts } from '../../mail';
import { DuplicateKey } from '../../store';
import { EmailAddress, parseEmail, UserDoc, Users, requireEmail } from '../../users';
import { SessionAttempts } from '../attempts/session-attempts';
import { ChallengeDoc } from '../factors/challenge.collection';
import { Challenges } from '../factors/challenges';
import { EmailCodes } from '../factors/email-codes';
import { FactorNotices } from '../factors/factor-notices';
import { wrongCode } from '../code-life';

/**
 * A new address of an account: confirmed by a code that goes there, told at the former one. Also
 * proves the present address.
 */
@Injectable()
export class EmailChange {
  constructor(
    private readonly users: Users,
    private readonly challenges: Challenges,
    private readonly emailCodes: EmailCodes,
    private readonly attempts: SessionAttempts,
    private readonly notices: FactorNotices,
    private readonly audit: AuditSink,
  ) {}

  /**
   * The same for an address that another account has confirmed: its owner gets a mail that says so,
   * and no code.
   * @throws DomainError `validation_failed`, `too_many_attempts`, `mail_unavailable`,
   * `invalid_session`.
   */
  async ask(caller: Person, text: string): Promise<void> {
    const email = requireEmail(text);
    const what = { action: 'email.change', actor: caller.actor, resource: `user/${caller.ownerId}` } as const;
    await audited(this.audit, { ...what, gathers: true }, () => this.#mail(caller, email));
  }

  /**
   * Takes the code that this session asked for, and no other.
   * @throws DomainError `otp_failed`, `too_many_attempts`, `invalid_session`.
   */
  async confirm(caller: Person, otp: string): Promise<void> {
    const what = { action: 'email.confirm', actor: caller.actor, resource: `user/${caller.ownerId}` } as const;
    await audited(this.audit, { ...what, gathers: true }, async () => {
      const former = await this.#replace(caller.ownerId, await this.#proved(caller, otp));
      await this.notices.tellFormerAddress(former);
    });
  }

  async #mail({ sessionId, ownerId }: Person, { address, folded }: EmailAddress): Promise<void> {
    const user = await this.users.byId(ownerId);
    if (user === undefined) throw new DomainError('invalid_session');
    const holder = await this.users.byVerifiedEmail(folded);
    const isTaken = holder !== undefined && holder._id !== ownerId;
    await this.attempts.mail(sessionId, async () => {
      const challenge = await this.challenges.openForSession(sessionId, ownerId, 'change-email', address);
      await this.emailCodes.send(user, challenge, isTaken ? mailTexts.alreadyRegistered(address) : undefined);
    });
  }

  async #proved({ sessionId }: Person, otp: string): Promise<EmailAddress> {
    const challenge = await this.challenges.ofSession(sessionId, 'change-email');
    const email = await this.attempts.code(sessionId, async () => {
      const value = challenge && (await this.#addressOf(challenge, otp));
      return { settle: value === undefined ? 'failed' : 'cleared', value };
    });
    if (email === undefined) throw wrongCode();
    return email;
  }

  async #addressOf(challenge: ChallengeDoc, otp: string): Promise<EmailAddress | undefined> {
    const email = parseEmail(challenge.email ?? '');
    if (!(await this.emailCodes.matches(challenge, otp))) return undefined;
    return (await this.challenges.consume(challenge)) ? email : undefined;
  }

  /**
   * The account as it was. An address that another account has confirmed got no code: this one was
   * guessed.
   */
  async #replace(userId: string, { address, folded }: EmailAddress): Promise<UserDoc> {
    let former: UserDoc | undefined;
    try {
      await this.users.change(userId, (user) => {
        former = user.state === 'active' ? user : undefined;
        return former && { ...user, email: address, verified_email: folded };
      });
    } catch (error) {
      throw error instanceof DuplicateKey ? wrongCode() : error;
    }
    if (former === undefined) throw new DomainError('invalid_session');
    return former;
  }
}
