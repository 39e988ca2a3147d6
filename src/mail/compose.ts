import { createTransport } from 'nodemailer';
import { MailConfig } from '../config';
import { Mail } from './mailer';

export interface ComposedMail {
  readonly from: string;
  readonly to: string;
  readonly message: Buffer;
}

const NEWLINES = { lf: createTransport(composing('unix')), crlf: createTransport(composing('windows')) };

/**
 * Composes the wire form of a mail. Addresses are objects, so nodemailer never parses a name or an
 * address as a list or group. File and URL access are disabled; Coffer's mails have no attachments
 * and no markup.
 */
export async function composed(mail: Mail, from: MailConfig['from'], newline: 'lf' | 'crlf'): Promise<ComposedMail> {
  const { message, envelope } = await NEWLINES[newline].sendMail({
    // A copy, because nodemailer modifies its input.
    from: { ...from },
    to: { name: '', address: mail.to },
    subject: mail.subject,
    text: mail.text,
    disableFileAccess: true,
    disableUrlAccess: true,
    headers: { 'Auto-Submitted': 'auto-generated' },
  });
  const [to] = envelope.to;
  if (envelope.from === false || to === undefined) throw new TypeError('a mail without sender or recipient');
  return { from: envelope.from, to, message: message as Buffer };
}

function composing(newline: 'unix' | 'windows') {
  return { streamTransport: true, buffer: true, newline } as const;
}
