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
 * A mail as it travels. Addresses are handed over as objects, so that nothing in a name or an address is parsed as a list or a
 * group; file and URL access are off although a mail of ours has neither attachment nor markup.
 */
export async function composed(mail: Mail, from: MailConfig['from'], newline: 'lf' | 'crlf'): Promise<ComposedMail> {
  const { message, envelope } = await NEWLINES[newline].sendMail({
    // A copy: the library writes into what it is given.
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
