import { Module } from '@nestjs/common';
import { UserKeysModule } from '../user';
import { RotationJob } from './rotation-job';
import { Rotations } from './rotations';

@Module({ imports: [UserKeysModule], providers: [RotationJob, Rotations], exports: [Rotations] })
export class RotationModule {}
