import { Module } from '@nestjs/common';
import { UserKeysModule } from '../user';
import { KeyOverview } from './key-overview';
import { OwnedHouses } from './owned-houses';
import { Retirement } from './retirement';
import { RotationJob } from './rotation-job';
import { RotationSchedule } from './rotation-schedule';
import { Rotations } from './rotations';
import { UserKeyRotationJob } from './user-key-rotation-job';
import { UserKeyRotations } from './user-key-rotations';

@Module({
  imports: [UserKeysModule],
  providers: [
    OwnedHouses,
    Retirement,
    RotationJob,
    Rotations,
    RotationSchedule,
    UserKeyRotationJob,
    UserKeyRotations,
    KeyOverview,
  ],
  exports: [OwnedHouses, Retirement, Rotations, UserKeyRotations, KeyOverview],
})
export class RotationModule {}
