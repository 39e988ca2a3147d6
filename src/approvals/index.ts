export { answerApproval } from './approval-answer';
export type { ApprovalDoc } from './approval.collection';
export { ApprovalAnswerDto } from './approvals.dto';
export { ApprovalsModule } from './approvals.module';
export { type ApprovableAction, ApprovableActions, type ApprovedRequest } from './approved-acts';
export { DualControl } from './two-person';
