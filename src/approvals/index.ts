export { answerApproval } from './approval-answer';
export type { ApprovalDoc } from './approval.collection';
export { ApprovalAnswerDto } from './approvals.dto';
export { ApprovalsModule } from './approvals.module';
export { type ApprovedAct, ApprovedActs, type ApprovedRequest } from './approved-acts';
export { TwoPerson } from './two-person';
