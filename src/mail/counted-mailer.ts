import { Metrics } from '../observability';
import { Mail, Mailer, SendOptions } from './mailer';

/** Wraps a mailer and counts each attempt. */
export class CountedMailer extends Mailer {
  constructor(
    private readonly mailer: Mailer,
    private readonly metrics: Metrics,
  ) {
    super();
  }

  async send(mail: Mail, options?: SendOptions): Promise<void> {
    try {
      await this.mailer.send(mail, options);
      this.metrics.mails.count('sent');
    } catch (error) {
      this.metrics.mails.count('failed');
      throw error;
    }
  }
}
