import { Module } from '@nestjs/common';
import { UsersModule } from '../users';
import { ApprovalDecisions } from './approval-decisions';
import { Approvals } from './approvals';
import { ApprovalsController } from './approvals.controller';
import { ApprovedActs } from './approved-acts';
import { TwoPerson } from './two-person';

@Module({
  imports: [UsersModule],
  controllers: [ApprovalsController],
  providers: [Approvals, ApprovalDecisions, ApprovedActs, TwoPerson],
  exports: [ApprovedActs, TwoPerson],
})
export class ApprovalsModule {}
