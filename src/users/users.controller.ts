import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { CallerPerson, Policy } from '../http';
import { DomainError, isoTime, Person } from '../kernel';
import { UserDoc } from './user.collection';
import { AccountDto } from './users.dto';
import { Users } from './users';

@ApiTags('Account')
@Controller()
export class UsersController {
  constructor(private readonly users: Users) {}

  /** Returns the caller's account. */
  @Get('me')
  @Policy({ scope: 'account' })
  async getAccount(@CallerPerson() caller: Person): Promise<AccountDto> {
    const user = await this.users.byId(caller.ownerId);
    if (user === undefined) throw new DomainError('invalid_session');
    return accountOf(user);
  }
}

export const accountOf = (user: UserDoc): Pick<AccountDto, keyof AccountDto> => ({
  id: user._id,
  username: user.username,
  email: user.email,
  email_verified: user.verified_email !== undefined,
  role: user.role,
  two_factor_enabled: user.two_factor_enabled,
  created_at: isoTime(user.created_at),
});
