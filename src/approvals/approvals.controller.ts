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

  /** What waits for a second administrator with TWO_PERSON=true, and what became of it, newest first. Kept for 30 days. */
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

  /** One approval. */
  @Get(':id')
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found')
  async getApproval(@Param('id') id: string): Promise<ApprovalDto> {
    const row = await this.approvals.get(id);
    return approvalDto(row, this.approvals.stateOf(row));
  }

  /**
   * Approves what another administrator asked for, and does it. The answer is that of the act itself. Of several who approve at once, one does
   * it and the others get 409 `conflict`; so does who approves what was decided or has expired (24 hours), or what was asked for by somebody who
   * is no administrator any more. Where the key service or the store fails in the middle, the act is gone on with by itself.
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

  /** Withdraws what one asked for oneself, or rejects what another administrator asked for. */
  @Delete(':id')
  @HttpCode(204)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found', 'conflict')
  endApproval(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.decisions.end(caller, id);
  }
}
