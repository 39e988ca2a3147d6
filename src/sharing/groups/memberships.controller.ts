import { Controller, Delete, Get, HttpCode, HttpStatus, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../../http';
import type { Principal } from '../../kernel';
import { MembershipPageDto } from './memberships.dto';
import { OwnMemberships } from './own-memberships';

@ApiTags('Groups')
@ApiBearerAuth()
@Controller('memberships')
export class MembershipsController {
  constructor(
    private readonly memberships: OwnMemberships,
    private readonly paging: Paging,
  ) {}

  /** The groups that the caller is in, whoever owns them, longest in it first. */
  @Get()
  @Policy({ scope: 'files:share' })
  @ApiProblems('invalid_cursor', 'kms_unavailable')
  async listMemberships(@Caller() caller: Principal, @Query() query: PageQueryDto): Promise<MembershipPageDto> {
    const scope = { holderId: caller.ownerId, query: 'GET /memberships' };
    const after = this.paging.position(query.cursor, scope);
    const { memberships, next } = await this.memberships.list(caller, { limit: query.limit ?? DEFAULT_LIMIT, after });
    return { items: memberships, next_cursor: next === undefined ? null : this.paging.cursor(next, scope) };
  }

  /** Takes the caller out of a group: from the next request on nothing reaches the caller through it. */
  @Delete(':groupId')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:share' })
  @ApiProblems('not_found')
  leaveGroup(@Caller() caller: Principal, @Param('groupId') groupId: string): Promise<void> {
    return this.memberships.leave(caller, groupId);
  }
}
