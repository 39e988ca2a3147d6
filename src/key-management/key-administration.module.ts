import { Module } from '@nestjs/common';
import { ApprovalsModule } from '../approvals';
import { RotationModule } from '../keys/rotation';
import { RotationsController } from './key-administration.controller';
import { KeysController } from './keys.controller';
import { VersionRetirement } from './version-retirement';

@Module({
  imports: [RotationModule, ApprovalsModule],
  controllers: [RotationsController, KeysController],
  providers: [VersionRetirement],
})
export class KeyManagementModule {}
