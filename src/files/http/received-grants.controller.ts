import { Controller, Delete, Get, HttpCode, HttpStatus, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../../http/index';
import type { Principal } from '../../kernel/index';
import { ReceivedFiles } from '../operations/received-files';
import { ReceivedGrantPageDto } from './dto/received-grants.dto';

@ApiTags('Files')
@ApiBearerAuth()
@Controller('grants/received')
export class ReceivedGrantsController {
  constructor(
    private readonly received: ReceivedFiles,
    private readonly paging: Paging,
  ) {}

  /**
   * The grants of files to the caller's own account, by user name or verified address, oldest first. What comes through a group is not here: GET
   * /memberships shows the groups.
   */
  @Get()
  @Policy({ scope: 'files:read' })
  @ApiProblems('invalid_cursor', 'integrity_failed', 'kms_unavailable')
  async listReceivedGrants(@Caller() caller: Principal, @Query() query: PageQueryDto): Promise<ReceivedGrantPageDto> {
    const scope = { holderId: caller.ownerId, query: 'GET /grants/received' };
    const after = this.paging.position(query.cursor, scope);
    const { files, next } = await this.received.list(caller, { limit: query.limit ?? DEFAULT_LIMIT, after });
    return { items: files, next_cursor: next === undefined ? null : this.paging.cursor(next, scope) };
  }

  /** Declines a grant to the caller: it ends at once. The owner may grant again. */
  @Delete(':grantId')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:share' })
  @ApiProblems('not_found')
  declineReceivedGrant(@Caller() caller: Principal, @Param('grantId') grantId: string): Promise<void> {
    return this.received.decline(caller, grantId);
  }
}
