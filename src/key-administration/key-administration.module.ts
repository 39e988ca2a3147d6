import { Module } from '@nestjs/common';
import { RotationModule } from '../keys/rotation';
import { KeyAdministrationController } from './key-administration.controller';

@Module({ imports: [RotationModule], controllers: [KeyAdministrationController] })
export class KeyAdministrationModule {}
