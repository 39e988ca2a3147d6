import { Module } from '@nestjs/common';
import { OwnerUsage } from './owner-usage';
import { RecordUsage } from './record-usage';

/** What owners have of USER_QUOTA, files and records together. */
@Module({ providers: [OwnerUsage, RecordUsage], exports: [OwnerUsage, RecordUsage] })
export class QuotaModule {}
