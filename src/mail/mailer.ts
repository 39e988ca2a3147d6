export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** Sends one mail. Implemented by mail/smtp and mail/outbox (a folder of .eml files, for installations without SMTP). */
export abstract class Mailer {
  /** Resolves when the server (or the disk) has taken it. Bounded to 5 seconds. @throws DomainError `mail_unavailable`. */
  abstract send(mail: Mail): Promise<void>;
}
