import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { AnswerHeaders, ApiProblems, CallerPerson, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../http';
import { isoTime, SECOND } from '../kernel';
import type { Person } from '../kernel';
import { ServiceAccountDoc } from '../users';
import { ApiKeys } from './api-keys';
import { expiryOf, keyDto, networksFrom, scopesFrom } from './key-input';
import {
  ApiKeyPageDto,
  CreatedKeyDto,
  NewServiceAccountDto,
  NewServiceKeyDto,
  ServiceAccountDto,
  ServiceAccountPageDto,
} from './service-accounts.dto';
import { ServiceAccounts } from './service-accounts';

const PATH = '/service-accounts';

@ApiTags('Service accounts')
@ApiBearerAuth()
@Controller('service-accounts')
export class ServiceAccountsController {
  constructor(
    private readonly accounts: ServiceAccounts,
    private readonly keys: ApiKeys,
    private readonly paging: Paging,
  ) {}

  /**
   * Makes an account for a backend. It owns data as a user does, and acts for its own end users,
   * its subjects. Its scopes never change: for other ones make another account.
   */
  @Post()
  @HttpCode(HttpStatus.CREATED)
  @Policy({ scope: 'administration', stepUp: true, idempotent: 'replay' })
  @AnswerHeaders('Location')
  async createServiceAccount(
    @CallerPerson() caller: Person,
    @Body() { name, scopes }: NewServiceAccountDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ServiceAccountDto> {
    const row = await this.accounts.create(caller, { name, scopes: scopesFrom(scopes) });
    reply.header('location', `${PATH}/${row._id}`);
    return accountDto(row);
  }

  /** The service accounts, oldest first. */
  @Get()
  @Policy({ scope: 'administration' })
  @ApiProblems('invalid_cursor')
  async listServiceAccounts(
    @CallerPerson() caller: Person,
    @Query() { limit = DEFAULT_LIMIT, cursor }: PageQueryDto,
  ): Promise<ServiceAccountPageDto> {
    const scope = { holderId: caller.ownerId, query: PATH };
    const after = this.paging.position(cursor, scope);
    const page = await this.accounts.list({ limit, ...(after !== undefined && { after }) });
    return {
      items: page.items.map(accountDto),
      next_cursor: page.next === undefined ? null : this.paging.cursor(page.next, scope),
    };
  }

  /**
   * Makes a key, which the answer shows this once. An account has ten at most: make the second one
   * before you delete the first.
   */
  @Post(':id/keys')
  @HttpCode(HttpStatus.CREATED)
  @Policy({ scope: 'administration', stepUp: true, idempotent: 'secret' })
  @AnswerHeaders('Location')
  @ApiProblems('not_found', 'conflict')
  async createServiceKey(
    @CallerPerson() caller: Person,
    @Param('id') id: string,
    @Body() { name, expires_in, allowed_addresses = [] }: NewServiceKeyDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CreatedKeyDto> {
    const lifeMs = expires_in === undefined ? undefined : expires_in * SECOND;
    const asked = { name, lifeMs, allowedAddresses: networksFrom(allowed_addresses) };
    const { row, text } = await this.accounts.createKey(caller, id, asked);
    reply.header('location', `${PATH}/${id}/keys/${row._id}`);
    return { id: row._id, key: text, expires_at: expiryOf(row) };
  }

  /** The keys of an account that hold, oldest first, without their secrets. */
  @Get(':id/keys')
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found')
  async listServiceKeys(@Param('id') id: string): Promise<ApiKeyPageDto> {
    await this.accounts.require(id);
    return { items: (await this.keys.of(id)).map(keyDto), next_cursor: null };
  }

  /** Revokes a key, and each token that was issued for it, from the next request on. */
  @Delete(':id/keys/:keyId')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found')
  deleteServiceKey(
    @CallerPerson() caller: Person,
    @Param('id') id: string,
    @Param('keyId') keyId: string,
  ): Promise<void> {
    return this.accounts.removeKey(caller, id, keyId);
  }
}

const accountDto = (row: ServiceAccountDoc): ServiceAccountDto => ({
  id: row._id,
  name: row.name,
  scopes: [...row.scopes],
  created_at: isoTime(row.created_at),
});
