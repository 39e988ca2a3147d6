import { Module } from '@nestjs/common';
import { ApprovalsModule } from '../approvals';
import { RotationModule } from '../keys/rotation';
import { KeyAdministrationController } from './key-administration.controller';
import { KeysController } from './keys.controller';
import { VersionRetirement } from './version-retirement';

@Module({
  imports: [RotationModule, ApprovalsModule],
  controllers: [KeyAdministrationController, KeysController],
  providers: [VersionRetirement],
})
export class KeyAdministrationModule {}
