import { DomainError } from '../kernel';

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

export interface SendOptions {
  /** Aborts the attempt. A mail whose last line is already being sent counts as sent. */
  readonly signal?: AbortSignal;
  /**
   * Called when the last line of the mail is being sent: from then on the server may have the mail,
   * whatever it replies.
   */
  readonly handedOver?: () => void;
}

/**
 * Sends one mail. Implementations: SmtpMailer and OutboxMailer (a folder of .eml files, for
 * installations without SMTP).
 */
export abstract class Mailer {
  /**
   * Resolves when the server (or the disk) has the mail, or may have it, so that no delivered mail
   * is sent twice.
   * @throws MailNotTaken
   */
  abstract send(mail: Mail, options?: SendOptions): Promise<void>;
}

/**
 * `deferred`: a retry may succeed. `unreachable`: the network or its settings need a fix.
 * `refused`: no retry can succeed.
 */
export type MailFault = 'deferred' | 'unreachable' | 'refused';

/**
 * The server certainly does not have the mail. The reason is safe to log: it holds no address, text
 * or secret.
 */
export class MailNotTaken extends DomainError {
  constructor(
    readonly fault: MailFault,
    override readonly reason: string,
  ) {
    super('mail_unavailable', { retryAfterSeconds: 30, reason, cause: new Error(reason) });
  }
}

/** The mail is not sent yet, but the queue still retries it: it may arrive after the response. */
export class MailDelayed extends DomainError {
  constructor() {
    super('mail_unavailable', {
      detail:
        'The mail server has not taken the mail yet. It is tried further: look for the mail before you ask for another.',
      retryAfterSeconds: 60,
    });
  }
}
