import { Module } from '@nestjs/common';
import { MailQueue } from './mail-queue';

/** Provides the queue; the app module chooses the Mailer. */
@Module({ providers: [MailQueue], exports: [MailQueue] })
export class MailModule {}
