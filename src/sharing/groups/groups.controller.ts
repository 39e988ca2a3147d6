import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Put, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../../http';
import type { Principal } from '../../kernel';
import { GroupMembers } from './group-members';
import { Groups } from './groups';
import { GroupDto, GroupPageDto, GroupWithMembersDto, MembershipPageDto, NewGroupDto } from './groups.dto';
import { OwnMemberships } from './memberships';

const PATH = '/groups';

@ApiTags('Groups')
@ApiBearerAuth()
@Controller('groups')
export class GroupsController {
  constructor(
    private readonly groups: Groups,
    private readonly members: GroupMembers,
    private readonly paging: Paging,
  ) {}

  /**
   * Makes a group of the caller's own, to grant to several accounts together. Only its owner sees
   * and changes it. At most 1,000.
   */
  @Post()
  @HttpCode(HttpStatus.OK)
  @Policy({ scope: 'files:share', idempotent: 'replay' })
  @ApiProblems('conflict', 'kms_unavailable')
  createGroup(@Caller() caller: Principal, @Body() body: NewGroupDto): Promise<GroupDto> {
    return this.groups.create(caller, body.name);
  }

  /** The caller's groups, oldest first. */
  @Get()
  @Policy({ scope: 'files:share' })
  @ApiProblems('invalid_cursor', 'decryption_failed')
  async listGroups(@Caller() caller: Principal, @Query() query: PageQueryDto): Promise<GroupPageDto> {
    const scope = { holderId: caller.ownerId, query: `GET ${PATH}` };
    const after = this.paging.position(query.cursor, scope);
    const { groups, next } = await this.groups.list(caller, { limit: query.limit ?? DEFAULT_LIMIT, after });
    return { items: groups, next_cursor: next === undefined ? null : this.paging.cursor(next, scope) };
  }

  /** One of the caller's groups with its members. */
  @Get(':id')
  @Policy({ scope: 'files:share' })
  @ApiProblems('not_found', 'decryption_failed')
  async getGroup(@Caller() caller: Principal, @Param('id') id: string): Promise<GroupWithMembersDto> {
    return { ...(await this.groups.get(caller, id)), members: await this.members.list(caller, id) };
  }

  /** Removes a group. What was granted to it ends at once, and its name is free. */
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:share' })
  @ApiProblems('not_found')
  deleteGroup(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    return this.groups.remove(caller, id);
  }

  /**
   * Takes an account into a group; nothing changes for one that is in it. At most 1,000 members.
   */
  @Put(':id/members/:username')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:share', stepUp: true })
  @ApiProblems('step_up_required', 'not_found', 'conflict')
  addGroupMember(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Param('username') username: string,
  ): Promise<void> {
    return this.members.add(caller, id, username);
  }

  /** Takes an account out of a group: from its next request on it sees nothing more through it. */
  @Delete(':id/members/:username')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:share' })
  @ApiProblems('not_found')
  removeGroupMember(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Param('username') username: string,
  ): Promise<void> {
    return this.members.remove(caller, id, username);
  }
}

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

  /**
   * Takes the caller out of a group: from the next request on nothing reaches the caller through
   * it.
   */
  @Delete(':groupId')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:share' })
  @ApiProblems('not_found')
  leaveGroup(@Caller() caller: Principal, @Param('groupId') groupId: string): Promise<void> {
    return this.memberships.leave(caller, groupId);
  }
}
