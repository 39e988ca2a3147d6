export { CountedMailer } from './counted-mailer';
export { type Mail, MailDelayed, Mailer } from './mailer';
export { MailModule } from './mail.module';
export { MailQueue } from './mail-queue';
export { type Urgency } from './sending-line';
export { OutboxMailer } from './outbox-mailer';
export { type SmtpConfig, SmtpMailer } from './smtp-mailer';
export * as mailTexts from './texts';
export type { FactorChange } from './texts';
