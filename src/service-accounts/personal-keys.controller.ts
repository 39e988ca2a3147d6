import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { AnswerHeaders, ApiProblems, CallerPerson, Policy } from '../http';
import { SECOND } from '../kernel';
import type { Person } from '../kernel';
import { expiryOf, keyDto, scopesFrom } from './key-input';
import { PersonalKeys } from './personal-keys';
import { CreatedKeyDto, NewPersonalKeyDto, PersonalKeyPageDto } from './service-accounts.dto';

@ApiTags('Account')
@ApiBearerAuth()
@Controller('api-keys')
export class PersonalKeysController {
  constructor(private readonly keys: PersonalKeys) {}

  /**
   * Makes a key for a script of the caller's, which the answer shows this once. It reaches the
   * caller's data by its scopes; it never does what asks for a fresh login, and reaches no account.
   */
  @Post()
  @HttpCode(HttpStatus.CREATED)
  @Policy({ scope: 'account', stepUp: true, idempotent: 'secret' })
  @AnswerHeaders('Location')
  @ApiProblems('conflict')
  async createApiKey(
    @CallerPerson() caller: Person,
    @Body() { name, scopes, expires_in }: NewPersonalKeyDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CreatedKeyDto> {
    const lifeMs = expires_in === undefined ? undefined : expires_in * SECOND;
    const ofPersons = (scope: string): boolean => !scope.startsWith('subjects:');
    const { row, text } = await this.keys.create(caller, { name, scopes: scopesFrom(scopes, ofPersons), lifeMs });
    reply.header('location', `/api-keys/${row._id}`);
    return { id: row._id, key: text, expires_at: expiryOf(row) };
  }

  /** The caller's keys that hold, oldest first, without their secrets. */
  @Get()
  @Policy({ scope: 'account' })
  async listApiKeys(@CallerPerson() caller: Person): Promise<PersonalKeyPageDto> {
    const rows = await this.keys.list(caller);
    return { items: rows.map((row) => Object.assign(keyDto(row), { scopes: [...row.scopes] })), next_cursor: null };
  }

  /** Revokes a key from the next request on. */
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'account' })
  @ApiProblems('not_found')
  deleteApiKey(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.keys.remove(caller, id);
  }
}
