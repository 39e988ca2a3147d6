import { Module } from '@nestjs/common';
import { UserKeysModule } from '../user-keys';
import { BackendMoves, RotationTargets } from './backend-move';
import { KeyMetrics } from './key-metrics';
import { KeyOverview } from './key-overview';
import { MasterKeyRotationJob } from './master-key-rotation.job';
import { Retirement } from './retirement';
import { RotationSchedule } from './rotation-schedule';
import { RotationService } from './rotation.service';
import { UserDataHandlers, UserKeyRotationJob } from './user-key-rotation.job';
import { WrapRelocationJob, WrapRelocations } from './wrap-relocation.job';

@Module({
  imports: [UserKeysModule],
  providers: [
    BackendMoves,
    KeyMetrics,
    KeyOverview,
    MasterKeyRotationJob,
    Retirement,
    RotationSchedule,
    RotationService,
    RotationTargets,
    UserDataHandlers,
    UserKeyRotationJob,
    WrapRelocationJob,
    WrapRelocations,
  ],
  exports: [
    BackendMoves,
    KeyOverview,
    MasterKeyRotationJob,
    Retirement,
    RotationService,
    UserDataHandlers,
    WrapRelocationJob,
    WrapRelocations,
  ],
})
export class RotationModule {}
