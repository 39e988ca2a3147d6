import { Module } from '@nestjs/common';
import { QuotaModule } from '../quota';
import { RecordsUserData } from './records-user-data';
import { PendingSweeper } from './pending-sweeper';
import { RecordCount } from './record-count';
import { SensitiveDataController } from './sensitive-data.controller';
import { SensitiveDataService } from './sensitive-data.service';

@Module({
  imports: [QuotaModule],
  controllers: [SensitiveDataController],
  providers: [SensitiveDataService, RecordsUserData, PendingSweeper, RecordCount],
  exports: [RecordsUserData, SensitiveDataService],
})
export class SensitiveDataModule {}
