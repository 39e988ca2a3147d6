import { Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems, CallerPerson, DEFAULT_LIMIT, Paging, Policy } from '../http';
import type { Person } from '../kernel';
import { approvalDto } from './approval-answer';
import { ApprovalDecisions } from './approval-decisions';
import { Approvals } from './approvals';
import { ApprovalDto, ApprovalListDto, ApprovalListQueryDto } from './approvals.dto';

const ACT_ANSWER =
  'What the route of the act itself answers: the master key after a retire, the signed receipt of an erase.';

@ApiTags('Approvals')
@ApiBearerAuth()
@Controller('approvals')
export class ApprovalsController {
  constructor(
    private readonly approvals: Approvals,
    private readonly decisions: ApprovalDecisions,
    private readonly paging: Paging,
  ) {}

  /**
   * Lists the requests that TWO_PERSON=true created, with their states, newest first. Approvals are
   * kept for 30 days.
   */
  @Get()
  @Policy({ scope: 'administration' })
  @ApiProblems('invalid_cursor')
  async listApprovals(@CallerPerson() caller: Person, @Query() query: ApprovalListQueryDto): Promise<ApprovalListDto> {
    const scope = { holderId: caller.ownerId, query: '/approvals' };
    const after = this.paging.position(query.cursor, scope);
    const page = await this.approvals.list({
      limit: query.limit ?? DEFAULT_LIMIT,
      ...(after === undefined ? {} : { after }),
    });
    return {
      items: page.items.map((row) => approvalDto(row, this.approvals.stateOf(row))),
      next_cursor: page.next === undefined ? null : this.paging.cursor(page.next, scope),
    };
  }

  /** Returns one approval. */
  @Get(':id')
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found')
  async getApproval(@Param('id') id: string): Promise<ApprovalDto> {
    const row = await this.approvals.get(id);
    return approvalDto(row, this.approvals.stateOf(row));
  }

  /**
   * Approves the request of another administrator and runs its action. The response is that of the
   * action itself.
   * Of several concurrent approvals one runs the action; the others get 409 `conflict`. A decided
   * request, an expired one (24 hours) and one whose requester is no longer an administrator also
   * get 409. If the key service or the store fails during the action, the service resumes it
   * automatically.
   */
  @Post(':id')
  @HttpCode(200)
  @Policy({ scope: 'administration', stepUp: true })
  @ApiOkResponse({ description: ACT_ANSWER, schema: { type: 'object' } })
  @ApiProblems(
    'step_up_required',
    'permission_denied',
    'not_found',
    'conflict',
    'version_in_use',
    'integrity_failed',
    'kms_unavailable',
  )
  approveRequest(@CallerPerson() caller: Person, @Param('id') id: string): Promise<object> {
    return this.decisions.approve(caller, id);
  }

  /** Withdraws the caller's own request, or rejects the request of another administrator. */
  @Delete(':id')
  @HttpCode(204)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found', 'conflict')
  endApproval(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.decisions.end(caller, id);
  }
}
