import { Readable } from 'node:stream';
import { Logger } from '@nestjs/common';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { MailConfig } from '../config';
import { SECOND } from '../kernel';
import { composed, ComposedMail } from './compose';
import { Mail, Mailer, MailNotTaken, SendOptions } from './mailer';
import { notTaken } from './smtp-fault';

export type SmtpConfig = Extract<MailConfig, { kind: 'smtp' }>;

/**
 * Sends each mail over its own connection to the configured server. Never logs the text or the
 * address of a mail.
 */
export class SmtpMailer extends Mailer {
  readonly #log = new Logger('Mail');

  constructor(private readonly config: SmtpConfig) {
    super();
  }

  async send(mail: Mail, options: SendOptions = {}): Promise<void> {
    const message = await composed(mail, this.config.from, 'crlf');
    const handedOver = await this.#deliver(message, options);
    if (handedOver === 'unconfirmed') {
      this.#log.warn('the mail server did not confirm a mail that it was given; it counts as sent');
    }
  }

  /**
   * Once the last line was sent, only a reply of the server can make the mail fail; a broken
   * connection leaves it sent (RFC 5321, 6.1).
   */
  async #deliver(mail: ComposedMail, { signal, handedOver }: SendOptions): Promise<'confirmed' | 'unconfirmed'> {
    const connection = new SMTPConnection(connectionOptions(this.config));
    const mark = { isOut: false, isOver: false };
    const lastLine = (): void => {
      mark.isOut = true;
      handedOver?.();
    };
    try {
      await before(this.config, signal, conversation(connection, this.config, mail, lastLine));
      mark.isOver = true;
      return 'confirmed';
    } catch (error) {
      const fault = error instanceof MailNotTaken ? error : notTaken(error);
      if (mark.isOut && fault.fault === 'unreachable') return 'unconfirmed';
      throw fault;
    } finally {
      hangUp(connection, mark.isOver);
    }
  }
}

/** Waits for `work`, at most until the timeout of the attempt or the shutdown. */
async function before(config: SmtpConfig, signal: AbortSignal | undefined, work: Promise<void>): Promise<void> {
  const end = new AbortController();
  const ended = new Promise<never>((_resolve, reject) => {
    const late = setTimeout(() => reject(noAnswer(config)), config.timeoutMs);
    end.signal.addEventListener('abort', () => clearTimeout(late));
    const stops = (): void => reject(new MailNotTaken('unreachable', 'the service stops'));
    signal?.addEventListener('abort', stops, { signal: end.signal });
    if (signal?.aborted === true) stops();
  });
  try {
    await Promise.race([ended, work]);
  } finally {
    end.abort();
  }
}

const noAnswer = ({ timeoutMs }: SmtpConfig): MailNotTaken =>
  new MailNotTaken('unreachable', `no answer within ${timeoutMs / SECOND} s (SMTP_TIMEOUT_SECONDS)`);

/**
 * The caller's timer bounds the whole attempt; the shorter defaults of nodemailer would abort a
 * slow greeting.
 */
function connectionOptions({ host, port, tls, timeoutMs, clientName }: SmtpConfig): SMTPConnection.Options {
  const timeouts = { connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, dnsTimeout: timeoutMs };
  const common = { host, port, name: clientName, ...timeouts, socketTimeout: timeoutMs, socketCloseTimeout: SECOND };
  if (tls === 'off') return { ...common, secure: false, ignoreTLS: true };
  // STARTTLS is required, not opportunistic: otherwise an attacker could strip it from the greeting
  // and read every code.
  const secure = tls === 'implicit';
  return { ...common, secure, requireTLS: !secure, tls: { minVersion: 'TLSv1.2' } };
}

/**
 * Greeting, login and mail. Connection errors arrive as events, errors of a step in its callback.
 */
async function conversation(
  connection: SMTPConnection,
  { login }: SmtpConfig,
  { from, to, message }: ComposedMail,
  lastLine: () => void,
): Promise<void> {
  const broken = new Promise<never>((_resolve, reject) => connection.on('error', reject));
  const step = (run: (done: (error?: Error | null) => void) => void): Promise<void> =>
    Promise.race([broken, new Promise<void>((resolve, reject) => run((error) => (error ? reject(error) : resolve())))]);
  await step((done) => connection.connect(done));
  if (login !== undefined) {
    await step((done) => connection.login({ user: login.user, pass: login.password }, done));
  }
  const body = Readable.from([message]).on('end', lastLine);
  await step((done) => connection.send({ from, to: [to] }, body, done));
}

/**
 * Sends QUIT only after the reply to the mail: in the middle of a mail, QUIT would become part of
 * it.
 */
function hangUp(connection: SMTPConnection, isOver: boolean): void {
  if (!isOver) {
    connection.close();
    return;
  }
  connection.quit();
  setTimeout(() => connection.close(), SECOND / 2).unref();
}
