export { answerApproval } from './approval-answer';
export type { ApprovalDoc } from './approval.collection';
export { ApprovalAnswerDto } from './approvals.dto';
export { ApprovalsModule } from './approvals.module';
export { type ApprovableAction, ApprovableActions, type ApprovedRequest } from './approvable-actions';
export { DualControl } from './dual-control';
