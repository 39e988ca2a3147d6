import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, CallerPerson, DEFAULT_LIMIT, Paging, Policy } from '../http';
import type { Person } from '../kernel';
import { accountOf, UserDoc } from '../users';
import { UserAdministration } from './user-administration';
import { ListedUserDto, RoleDto, UserListDto, UserListQueryDto } from './user-administration.dto';
import { UserSearch } from './user-search';

@ApiTags('Account')
@ApiBearerAuth()
@Controller('users')
export class UserAdministrationController {
  constructor(
    private readonly administration: UserAdministration,
    private readonly search: UserSearch,
    private readonly paging: Paging,
  ) {}

  /** All accounts, by user name. */
  @Get()
  @Policy({ scope: 'administration' })
  @ApiProblems('invalid_cursor')
  async listUsers(@CallerPerson() caller: Person, @Query() query: UserListQueryDto): Promise<UserListDto> {
    const { search, role, state } = query;
    const scope = { holderId: caller.ownerId, query: `GET /users ${JSON.stringify([search, role, state])}` };
    const after = this.paging.position(query.cursor, scope);
    const { users, next } = await this.search.find({ search, role, state }, query.limit ?? DEFAULT_LIMIT, after);
    return {
      items: users.map(listed),
      next_cursor: next === undefined ? null : this.paging.cursor(next, scope),
    };
  }

  /**
   * Disables an account, from the next request on, and ends its sessions. Its grants and links rest
   * until it is enabled again. The last administrator stays.
   */
  @Post(':id/disable')
  @HttpCode(204)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found', 'conflict')
  disableUser(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.administration.disable(caller.actor, id);
  }

  /** Lets a disabled account log in again. */
  @Post(':id/enable')
  @HttpCode(204)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found', 'conflict')
  enableUser(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.administration.enable(caller.actor, id);
  }

  /** Forgets the wrong passwords and codes that keep an account from logging in. */
  @Post(':id/unlock')
  @HttpCode(204)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found')
  unlockUser(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.administration.unlock(caller.actor, id);
  }

  /** Ends all sessions of an account. */
  @Post(':id/end-sessions')
  @HttpCode(204)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found')
  endUserSessions(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.administration.endSessions(caller.actor, id);
  }

  /** Gives an account another role, from its next request on. The last administrator stays one. */
  @Post(':id/role')
  @HttpCode(204)
  @Policy({ scope: 'administration', stepUp: true })
  @ApiProblems('not_found', 'conflict')
  setUserRole(@CallerPerson() caller: Person, @Param('id') id: string, @Body() { role }: RoleDto): Promise<void> {
    return this.administration.setRole(caller.actor, id, role);
  }
}

const listed = (user: UserDoc): ListedUserDto => ({
  ...accountOf(user),
  state: user.state === 'disabled' ? 'disabled' : 'active',
});
