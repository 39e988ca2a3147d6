import { Module } from '@nestjs/common';
import { QuotaModule } from '../quota';
import { OwnedRecords } from './owned-records';
import { PendingSweeper } from './pending-sweeper';
import { RecordCount } from './record-count';
import { SensitiveDataController } from './sensitive-data.controller';
import { SensitiveDataService } from './sensitive-data.service';

@Module({
  imports: [QuotaModule],
  controllers: [SensitiveDataController],
  providers: [SensitiveDataService, OwnedRecords, PendingSweeper, RecordCount],
  exports: [OwnedRecords],
})
export class SensitiveDataModule {}
