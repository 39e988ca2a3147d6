import { DomainError } from '../kernel';

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

export interface SendOptions {
  /** Ends the try. A mail whose last line is on its way by then counts as sent. */
  readonly signal?: AbortSignal;
  /** Called once the last line of the mail is on its way: from here on the server may have it, whatever it answers. */
  readonly handedOver?: () => void;
}

/** Sends one mail. Implemented by mail/smtp and mail/outbox (a folder of .eml files, for installations without SMTP). */
export abstract class Mailer {
  /**
   * Resolves when the server (or the disk) has taken the mail, and where it may have: nothing that was delivered is sent twice.
   * @throws MailNotTaken
   */
  abstract send(mail: Mail, options?: SendOptions): Promise<void>;
}

/** Who would have to act: nobody, since a later try may do; the network or its settings; or the sender, since no try will do. */
export type MailFault = 'deferred' | 'unreachable' | 'refused';

/** The mail was not taken, for certain. The reason is for the log: it has no address, no text and no secret. */
export class MailNotTaken extends DomainError {
  constructor(
    readonly fault: MailFault,
    override readonly reason: string,
  ) {
    super('mail_unavailable', { retryAfterSeconds: 30, reason, cause: new Error(reason) });
  }
}

/** The mail is not sent yet, and is still being tried: it may arrive after the answer. */
export class MailDelayed extends DomainError {
  constructor() {
    super('mail_unavailable', {
      detail:
        'The mail server has not taken the mail yet. It is tried further: look for the mail before you ask for another.',
      retryAfterSeconds: 60,
    });
  }
}
