import { Module } from '@nestjs/common';
import { MailQueue } from './mail-queue';

/** The queue over the installation's Mailer, which app.module chooses. */
@Module({ providers: [MailQueue], exports: [MailQueue] })
export class MailModule {}
