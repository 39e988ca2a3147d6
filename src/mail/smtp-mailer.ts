import { createTransport } from 'nodemailer';
import { MailConfig } from '../config';
import { DomainError, SECOND } from '../kernel';
import { composed } from './compose';
import { Mail, Mailer } from './mailer';

export type SmtpConfig = Extract<MailConfig, { kind: 'smtp' }>;

/** The port where TLS comes first, without STARTTLS (RFC 8314). */
const IMPLICIT_TLS_PORT = 465;
/** A server that does not take the connection, or takes it and stays silent, is given up after this. */
const SILENCE_MS = 1_500;
/** Everything together: a server that answers a byte a second does not hold a request longer. */
const DEADLINE_MS = 5 * SECOND;

/** Hands each mail to the configured server over a connection of its own. Neither a mail's text nor its address is logged. */
export class SmtpMailer extends Mailer {
  readonly #transport;

  constructor(private readonly config: SmtpConfig) {
    super();
    this.#transport = createTransport({
      host: config.host,
      port: config.port,
      ...tlsOptions(config),
      ...(config.login === undefined ? {} : { auth: { user: config.login.user, pass: config.login.password } }),
      connectionTimeout: SILENCE_MS,
      greetingTimeout: SILENCE_MS,
      dnsTimeout: SILENCE_MS,
      socketTimeout: DEADLINE_MS,
      socketCloseTimeout: SECOND,
      logger: false,
    });
  }

  async send(mail: Mail): Promise<void> {
    try {
      const message = composed(mail, this.config.from);
      await this.#transport.sendMail({ ...message, signal: AbortSignal.timeout(DEADLINE_MS) });
    } catch (error) {
      throw new DomainError('mail_unavailable', { retryAfterSeconds: 30, cause: reasonOf(error) });
    }
  }
}

/** STARTTLS is demanded and not merely used where offered: whoever can cut it out of the greeting would read every code. */
function tlsOptions({ port, tls }: SmtpConfig): object {
  if (tls === 'off') return { secure: false, ignoreTLS: true };
  const implicit = port === IMPLICIT_TLS_PORT;
  return { secure: implicit, requireTLS: !implicit, tls: { minVersion: 'TLSv1.2' } };
}

/** nodemailer's errors quote the server, which quotes the address: only the kind goes on. */
function reasonOf(error: unknown): Error {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return new Error(`SMTP: ${code}`);
}
