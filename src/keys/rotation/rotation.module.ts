import { Module } from '@nestjs/common';
import { RotationJob } from './rotation-job';
import { Rotations } from './rotations';

@Module({ providers: [RotationJob, Rotations], exports: [Rotations] })
export class RotationModule {}
