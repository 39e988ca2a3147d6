import { Injectable } from '@nestjs/common';
import { codeMatches, oneTimeCode } from '../../crypto';
import { Clock, DomainError, isDomainError, MINUTE, SystemSecrets } from '../../kernel';
import { Mail, MailQueue, mailTexts } from '../../mail';
import { tooManyAttempts, UserDoc } from '../../users';
import { minutesLeft } from '../code-life';
import { AddressMails, ReservedMail } from '../mails/address-mails';
import { provedAddress } from '../mails/mailbox';
import { ChallengeDoc, CodePurpose } from './challenge.collection';
import { Challenges } from './challenges';

/** Minimum pause between two mails of one challenge. */
export const MAIL_PAUSE_MS = MINUTE;

const TEXTS: Readonly<Record<CodePurpose, (to: string, username: string, code: string, minutes: number) => Mail>> = {
  login: mailTexts.loginCode,
  'enable-email': mailTexts.enableEmailCode,
  'step-up': mailTexts.stepUpCode,
  'change-email': mailTexts.changeEmailCode,
};

/**
 * Codes by e-mail: never stored, but derived from the challenge, so that a resend sends the same
 * code.
 */
@Injectable()
export class EmailCodes {
  constructor(
    private readonly challenges: Challenges,
    private readonly addressMails: AddressMails,
    private readonly mails: MailQueue,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {}

  /**
   * Mails the challenge's code, or `instead`. A failed mail does not count; a mail that is still
   * being retried does.
   * @throws DomainError `too_many_attempts` (60 s between mails of a challenge, 10 an hour for an
   * address), `mail_unavailable`
   */
  async send(user: UserDoc, challenge: ChallengeDoc, instead?: Mail): Promise<void> {
    const sentAt = this.clock.now();
    const former = await this.#reserveChallenge(challenge, sentAt);
    const giveBack = (): Promise<void> => this.#giveBackChallenge(challenge._id, sentAt, former);
    const reserved = await this.#reserveAddress(user, challenge, giveBack);
    await this.mails.send(instead ?? this.#mail(user, challenge), async () => {
      await giveBack();
      await reserved.giveBack();
    });
  }

  /**
   * Like `send`, for a login, which continues without the mail; /send-otp reports the reason.
   * Returns whether the mail was sent.
   */
  async sendIfPossible(user: UserDoc, challenge: ChallengeDoc): Promise<boolean> {
    try {
      await this.send(user, challenge);
      return true;
    } catch (error) {
      if (isDomainError(error, 'too_many_attempts', 'mail_unavailable')) return false;
      throw error;
    }
  }

  /**
   * Compares one code, using one of the challenge's 5 tries. A code that was never mailed cannot
   * match.
   */
  async matches(challenge: ChallengeDoc, code: string): Promise<boolean> {
    if (challenge.mailed_at === undefined) return false;
    if (!(await this.challenges.spendTry(challenge))) return false;
    return codeMatches(this.#code(challenge), code);
  }

  #code({ nonce, purpose, session_id }: ChallengeDoc): string {
    return oneTimeCode(this.secrets.oneTimeCodes, nonce, purpose, session_id);
  }

  #mail(user: UserDoc, challenge: ChallengeDoc): Mail {
    const minutes = minutesLeft(challenge.expires_at, this.clock.now());
    return TEXTS[challenge.purpose](challenge.email ?? user.email, user.username, this.#code(challenge), minutes);
  }

  /**
   * Reserved before the mail is sent, so that parallel requests send one mail. Returns the time of
   * the previous mail.
   */
  async #reserveChallenge({ _id, nonce }: ChallengeDoc, now: number): Promise<number | undefined> {
    let former: number | undefined;
    let waitMs = 0;
    const row = await this.challenges.change(_id, (present) => {
      if (present.nonce !== nonce) return undefined;
      former = present.mailed_at;
      const sinceMs = former === undefined ? MAIL_PAUSE_MS : Math.abs(now - former);
      waitMs = MAIL_PAUSE_MS - sinceMs;
      return waitMs > 0 ? undefined : { ...present, mailed_at: now };
    });
    if (row?.nonce !== nonce) throw new DomainError('invalid_session');
    if (waitMs > 0) throw tooManyAttempts(waitMs);
    return former;
  }

  async #reserveAddress(
    user: UserDoc,
    { email }: ChallengeDoc,
    giveBackChallenge: () => Promise<void>,
  ): Promise<ReservedMail> {
    const isProved = email === undefined && provedAddress(user);
    try {
      const reserved = await this.addressMails.reserve(email ?? user.email, isProved ? 'code' : 'stranger');
      if (reserved.waitMs > 0) throw tooManyAttempts(reserved.waitMs);
      return reserved;
    } catch (error) {
      await giveBackChallenge();
      throw error;
    }
  }

  async #giveBackChallenge(id: string, sentAt: number, former: number | undefined): Promise<void> {
    await this.challenges.change(id, (row) => {
      if (row.mailed_at !== sentAt) return undefined;
      const { mailed_at: _sent, ...rest } = row;
      return former === undefined ? rest : { ...rest, mailed_at: former };
    });
  }
}
