import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { AnswerHeaders, ApiProblems, CallerPerson, DEFAULT_LIMIT, Paging, Policy } from '../../http';
import { isoTime, SECOND } from '../../kernel';
import type { Person } from '../../kernel';
import { InvitationDoc } from './invitation.collection';
import { Invitations } from './invitations';
import {
  DEFAULT_LIFE_SECONDS,
  InvitationDto,
  InvitationListDto,
  InvitationListQueryDto,
  NewInvitationDto,
} from './invitations.dto';
import { Inviting } from './inviting';

@ApiTags('Invitations')
@ApiBearerAuth()
@Controller('invitations')
export class InvitationsController {
  constructor(
    private readonly inviting: Inviting,
    private readonly invitations: Invitations,
    private readonly paging: Paging,
  ) {}

  /**
   * Mails an invitation. It permits one registration with that address (`invitation` in POST
   * /register), proves the address, and is valid once. Only the mail contains its code.
   */
  @Post()
  @HttpCode(HttpStatus.CREATED)
  @Policy({ scope: 'administration', stepUp: true, idempotent: 'replay' })
  @AnswerHeaders('Location')
  @ApiProblems('step_up_required', 'permission_denied', 'conflict', 'too_many_attempts', 'mail_unavailable')
  async createInvitation(
    @CallerPerson() caller: Person,
    @Body() { email, expires_in = DEFAULT_LIFE_SECONDS }: NewInvitationDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<InvitationDto> {
    const row = await this.inviting.invite(caller, email, expires_in * SECOND);
    reply.header('location', `/invitations/${row._id}`);
    return invitationDto(row);
  }

  /** Lists the invitations that are still valid, newest first. */
  @Get()
  @Policy({ scope: 'administration' })
  @ApiProblems('invalid_cursor')
  async listInvitations(
    @CallerPerson() caller: Person,
    @Query() query: InvitationListQueryDto,
  ): Promise<InvitationListDto> {
    const scope = { holderId: caller.ownerId, query: '/invitations' };
    const after = this.paging.position(query.cursor, scope);
    const page = await this.invitations.list({
      limit: query.limit ?? DEFAULT_LIMIT,
      ...(after === undefined ? {} : { after }),
    });
    return {
      items: page.items.map(invitationDto),
      next_cursor: page.next === undefined ? null : this.paging.cursor(page.next, scope),
    };
  }

  /** Revokes an invitation. An account created with it stays. */
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found')
  endInvitation(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.inviting.end(caller, id);
  }
}

const invitationDto = ({ _id, email, expires_at }: InvitationDoc): InvitationDto => ({
  id: _id,
  email,
  expires_at: isoTime(expires_at),
});
