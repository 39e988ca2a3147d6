import { Module } from '@nestjs/common';
import { RotationModule } from '../keys/rotation';
import { KeyAdministrationController } from './key-administration.controller';
import { KeysController } from './keys.controller';

@Module({ imports: [RotationModule], controllers: [KeyAdministrationController, KeysController] })
export class KeyAdministrationModule {}
