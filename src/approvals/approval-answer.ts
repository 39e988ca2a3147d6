import type { FastifyReply } from 'fastify';
import { isoTime } from '../kernel';
import { ApprovalDoc, ApprovalState } from './approval.collection';
import { ApprovalAnswerDto, ApprovalDto } from './approvals.dto';

const ACCEPTED = 202;

export const approvalDto = (row: ApprovalDoc, state: ApprovalState = row.state): ApprovalDto => ({
  id: row._id,
  action: row.action,
  resource: row.resource,
  requested_by: row.requested_by,
  requested_at: isoTime(row.requested_at),
  expires_at: isoTime(row.expires_at),
  state,
});

/** Responds 202 on a route whose action now waits for a second administrator. */
export function answerApproval(reply: FastifyReply, row: ApprovalDoc): ApprovalAnswerDto {
  void reply.code(ACCEPTED).header('location', `/approvals/${row._id}`);
  return { approval: approvalDto(row) };
}
