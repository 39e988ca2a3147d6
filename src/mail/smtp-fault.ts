import { outageReason } from '../kernel';
import { MailNotTaken } from './mailer';

interface SmtpError {
  readonly code?: string;
  readonly command?: string | false;
  readonly response?: string | false;
  readonly responseCode?: number;
}

/** Errors that nodemailer raises before it sends anything: a retry would fail in the same way. */
const OWN_REFUSALS = new Set(['EENVELOPE', 'EMESSAGE']);

/**
 * Maps an error of the mail server. Its text may quote an address, so only the kind, the step and
 * the reply codes are kept.
 */
export function notTaken(error: unknown): MailNotTaken {
  const fault = (typeof error === 'object' && error !== null ? error : {}) as SmtpError;
  const status = typeof fault.responseCode === 'number' ? fault.responseCode : undefined;
  if (status !== undefined && status >= 400) {
    return new MailNotTaken(status >= 500 ? 'refused' : 'deferred', `${step(fault)} was answered ${reply(fault)}`);
  }
  const code = fault.code ?? 'unknown';
  if (OWN_REFUSALS.has(code)) return new MailNotTaken('refused', `the mail cannot be handed over (${code})`);
  if (code === 'EAUTH') {
    return new MailNotTaken('unreachable', 'it offers no login that SMTP_USERNAME and SMTP_PASSWORD serve for');
  }
  const reason = outageReason(error) ?? `no connection, or it broke (${code})`;
  return new MailNotTaken('unreachable', code === 'ETLS' ? `${reason}; SMTP_TLS must fit the port` : reason);
}

/** The name of the SMTP command, without its arguments. */
function step({ command }: SmtpError): string {
  const name = /^(CONN|EHLO|HELO|STARTTLS|AUTH|MAIL FROM|RCPT TO|DATA)\b/.exec(command || '')?.[1];
  if (name === 'AUTH') return 'the login (SMTP_USERNAME, SMTP_PASSWORD)';
  return name === undefined || name === 'CONN' ? 'the connection' : name;
}

/** The reply code and its enhanced status code (RFC 3463), without the text. */
const reply = ({ response, responseCode }: SmtpError): string =>
  /^\d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3}\b)?/.exec(response || '')?.[0] ?? String(responseCode);
