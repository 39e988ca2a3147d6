import { Module } from '@nestjs/common';
import { UserKeysModule } from '../user-keys';
import { KeyOverview } from './key-overview';
import { Migrations } from './migrations';
import { MasterKeyFigure } from './master-key-figure';
import { UserDataHandlers } from './user-data-handlers';
import { Retirement } from './retirement';
import { RotationJob } from './rotation-job';
import { RotationSchedule } from './rotation-schedule';
import { RotationTarget } from './rotation-target';
import { Rotations } from './rotations';
import { UserKeyMoveJob } from './user-key-move-job';
import { UserKeyMoves } from './user-key-moves';
import { UserKeyRotationJob } from './user-key-rotation-job';
import { UserKeyRotations } from './user-key-rotations';

@Module({
  imports: [UserKeysModule],
  providers: [
    MasterKeyFigure,
    Migrations,
    UserDataHandlers,
    Retirement,
    RotationJob,
    Rotations,
    RotationSchedule,
    RotationTarget,
    UserKeyMoveJob,
    UserKeyMoves,
    UserKeyRotationJob,
    UserKeyRotations,
    KeyOverview,
  ],
  exports: [
    Migrations,
    UserDataHandlers,
    Retirement,
    RotationJob,
    Rotations,
    UserKeyMoveJob,
    UserKeyMoves,
    UserKeyRotations,
    KeyOverview,
  ],
})
export class RotationModule {}
