import { Module } from '@nestjs/common';
import { OwnedRecords } from './owned-records';
import { PendingSweeper } from './pending-sweeper';
import { SensitiveDataController } from './sensitive-data.controller';
import { SensitiveDataService } from './sensitive-data.service';

@Module({
  controllers: [SensitiveDataController],
  providers: [SensitiveDataService, OwnedRecords, PendingSweeper],
  exports: [OwnedRecords],
})
export class SensitiveDataModule {}
