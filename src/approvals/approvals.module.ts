import { Module } from '@nestjs/common';
import { UsersModule } from '../users';
import { ApprovalDecisions } from './approval-decisions';
import { Approvals } from './approvals';
import { ApprovalsController } from './approvals.controller';
import { ApprovableActions } from './approvable-actions';
import { DualControl } from './dual-control';

@Module({
  imports: [UsersModule],
  controllers: [ApprovalsController],
  providers: [Approvals, ApprovalDecisions, ApprovableActions, DualControl],
  exports: [ApprovableActions, DualControl],
})
export class ApprovalsModule {}
