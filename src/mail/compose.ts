import { Mail } from './mailer';

/**
 * A mail as nodemailer takes it. The address is handed over as an object, so that nothing in it is parsed as a list of recipients;
 * file and URL access are off although a mail of ours has neither attachment nor markup.
 */
export function composed(mail: Mail, from: string): object {
  return {
    from,
    to: { name: '', address: mail.to },
    subject: mail.subject,
    text: mail.text,
    disableFileAccess: true,
    disableUrlAccess: true,
    headers: { 'Auto-Submitted': 'auto-generated' },
  };
}
