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
   * Lets an account, the holder of an e-mail address, or one of the caller's groups read the file.
   * For its owner. A grant holds no key: it ends at the next request after it is revoked. The same
   * grantee again renews the grant, with the same id and a new `expires_at`. A grant to an address
   * is `pending` until an account verifies the address, and then belongs to the first account that
   * does.
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

  /** The live grants of a file, oldest first. For its owner. */
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

  /** Revokes a grant: from the next request on the grantee has no access. For the file's owner. */
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
   * Grants of files to the caller's account, by user name or verified address, oldest first. Grants
   * to groups are not included: GET /memberships shows the groups.
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
