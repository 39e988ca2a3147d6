import { Body, Controller, Delete, Get, Header, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { AnswerHeaders, ApiProblems, CallerPerson, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../../http';
import { isoTime, Person } from '../../kernel';
import { TokensDto } from '../tokens.dto';
import { ListedSession, SessionManagement } from './session-management';
import { RefreshDto, SessionDto, SessionListDto } from './sessions.dto';

@ApiTags('Sessions')
@Controller()
export class SessionsController {
  constructor(
    private readonly sessions: SessionManagement,
    private readonly paging: Paging,
  ) {}

  /**
   * Exchanges a refresh token for new tokens and invalidates it. For 20 seconds the old token still
   * returns the same new tokens, for parallel requests and lost responses. A later reuse ends the
   * session, because the token may be stolen.
   */
  @Post('token/refresh')
  @HttpCode(200)
  @Policy({ access: 'public', rateLimit: 'refresh' })
  @ApiProblems('invalid_session', 'account_disabled')
  refreshTokens(@Body() body: RefreshDto): Promise<TokensDto> {
    return this.sessions.refresh(body.refresh_token);
  }

  /** Ends the caller's current session. Its tokens become void at once. */
  @Post('logout')
  @HttpCode(204)
  @Header('Clear-Site-Data', '"cache", "cookies", "storage"')
  @AnswerHeaders('Clear-Site-Data')
  @Policy({ scope: 'account' })
  @ApiBearerAuth()
  logout(@CallerPerson() caller: Person): Promise<void> {
    return this.sessions.logout(caller);
  }

  /** Lists the caller's open sessions, oldest first; at most 20. */
  @Get('sessions')
  @Policy({ scope: 'account' })
  @ApiBearerAuth()
  @ApiProblems('invalid_cursor')
  async listSessions(@CallerPerson() caller: Person, @Query() query: PageQueryDto): Promise<SessionListDto> {
    const scope = { holderId: caller.ownerId, query: 'GET /sessions' };
    const after = this.paging.position(query.cursor, scope);
    const { sessions, next } = await this.sessions.list(caller, query.limit ?? DEFAULT_LIMIT, after);
    return {
      items: sessions.map((listed) => sessionOf(listed, caller)),
      next_cursor: next === undefined ? null : this.paging.cursor(next, scope),
    };
  }

  /** Ends one of the caller's sessions. */
  @Delete('sessions/:id')
  @HttpCode(204)
  @Policy({ scope: 'account' })
  @ApiBearerAuth()
  @ApiProblems('not_found')
  endSession(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.sessions.end(caller, id);
  }

  /** Ends all of the caller's sessions except the current one. */
  @Delete('sessions')
  @HttpCode(204)
  @Policy({ scope: 'account' })
  @ApiBearerAuth()
  endOtherSessions(@CallerPerson() caller: Person): Promise<void> {
    return this.sessions.endOthers(caller);
  }
}

const sessionOf = ({ session, client }: ListedSession, caller: Person): SessionDto => ({
  id: session._id,
  current: session._id === caller.sessionId,
  created_at: isoTime(session.created_at),
  last_used_at: isoTime(session.rotated_at),
  expires_at: isoTime(session.expires_at),
  address: client?.address ?? null,
  device: client?.userAgent ?? null,
});
