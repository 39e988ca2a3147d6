import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { AnswerHeaders, ApiProblems, Caller, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../../http';
import type { Principal } from '../../kernel';
import { GrantDto, GrantPageDto, NewGrantDto, newGrant } from '../../sharing';
import { FileSharing } from '../operations/share-file';
import { ReceivedGrantPageDto } from './dto/files.dto';

@ApiTags('Files')
@ApiBearerAuth()
@Controller('files/:id/grants')
export class FileGrantsController {
  constructor(
    private readonly sharing: FileSharing,
    private readonly paging: Paging,
  ) {}

  /**
   * Lets an account, the holder of an e-mail address, or a group of the caller's own read the file. Its owner only. A grant is permission and no
   * key: it ends at the next request after it is revoked. The same grantee again renews the grant: same id, new `expires_at`. An address
   * is answered as it was sent; it is `pending` until an account verifies it, and stays with the account that was the first to.
   */
  @Post()
  @HttpCode(HttpStatus.CREATED)
  @Policy({ scope: 'files:share', stepUp: true, idempotent: 'replay' })
  @AnswerHeaders('Location')
  @ApiProblems('step_up_required', 'permission_denied', 'file_not_found', 'not_found', 'conflict', 'integrity_failed')
  async createFileGrant(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body() body: NewGrantDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<GrantDto> {
    const grant = await this.sharing.grant(caller, id, newGrant(body));
    reply.header('location', `/files/${id}/grants/${grant.id}`);
    return grant;
  }

  /** The grants of a file that hold, oldest first. Its owner only. */
  @Get()
  @Policy({ scope: 'files:share' })
  @ApiProblems('permission_denied', 'file_not_found', 'invalid_cursor', 'integrity_failed', 'decryption_failed')
  async listFileGrants(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query() query: PageQueryDto,
  ): Promise<GrantPageDto> {
    const scope = { holderId: caller.ownerId, query: JSON.stringify(['/files/grants', id]) };
    const after = this.paging.position(query.cursor, scope);
    const { grants, next } = await this.sharing.list(caller, id, { limit: query.limit ?? DEFAULT_LIMIT, after });
    return { items: grants, next_cursor: next === undefined ? null : this.paging.cursor(next, scope) };
  }

  /** Ends a grant: from its next request on the grantee sees the file no more. Its owner only. */
  @Delete(':grantId')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:share' })
  @ApiProblems('permission_denied', 'file_not_found', 'not_found', 'integrity_failed')
  revokeFileGrant(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Param('grantId') grantId: string,
  ): Promise<void> {
    return this.sharing.revoke(caller, id, grantId);
  }
}

@ApiTags('Files')
@ApiBearerAuth()
@Controller('grants/received')
export class ReceivedGrantsController {
  constructor(
    private readonly received: FileSharing,
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
    const { files, next } = await this.received.listReceived(caller, { limit: query.limit ?? DEFAULT_LIMIT, after });
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
