import { Body, Controller, Get, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CONFIG, Config } from '../../config';
import { AnswerHeaders, ApiProblems, ContentAnswers, Policy, bearerToken, sendContent } from '../../http';
import { DomainError, SECOND } from '../../kernel';
import { TICKET_MS } from '../../sharing';
import { FileLinks } from './file-links';
import { DownloadTicketDto, OpenLinkDto } from './links.dto';

const COOKIE = 'coffer-ticket';
const PATH = '/links/content';

@ApiTags('Links')
@Controller('links')
export class LinkContentController {
  constructor(
    private readonly links: FileLinks,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Opens a link: spends one of its downloads, and gives a ticket for 5 minutes. The ticket is sent as a bearer token, or by the cookie
   * that this answer sets; it is never part of a URL. Five wrong passwords in a row close the link for 15 minutes.
   */
  @Post('open')
  @HttpCode(200)
  @Policy({ access: 'public', rateLimit: 'links' })
  @AnswerHeaders('Set-Cookie')
  @ApiProblems('not_found', 'file_not_found', 'link_expired', 'login_failed', 'too_many_attempts', 'overloaded')
  async openLink(
    @Body() { token, password }: OpenLinkDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DownloadTicketDto> {
    const { token: ticket, file } = await this.links.open(token, password);
    reply.header('set-cookie', this.cookie(ticket));
    const { name, size, content_type } = file;
    return { ticket, expires_in: TICKET_MS / SECOND, name, size, content_type };
  }

  /** The content behind a ticket, as a download; with one Range at a time. HEAD answers without a body. */
  @Get('content')
  @Policy({ access: 'public', rateLimit: 'tickets' })
  @ApiBearerAuth('ticket')
  @ContentAnswers()
  @ApiProblems('unauthenticated', 'token_expired', 'link_expired', 'file_not_found', 'precondition_failed')
  @ApiProblems('range_not_satisfiable', 'rate_limited', 'kms_unavailable', 'decryption_failed', 'integrity_failed')
  async downloadLinkContent(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await sendContent(request, reply, await this.links.content(ticketOf(request)));
  }

  /** Never shown to scripts, nor sent from other sites or to other routes. */
  private cookie(ticket: string): string {
    const { protocol, pathname } = new URL(this.config.http.publicUrl);
    const path = `${pathname.replace(/\/$/, '')}${PATH}`;
    const secure = protocol === 'https:' ? '; Secure' : '';
    return `${COOKIE}=${ticket}; Path=${path}; Max-Age=${TICKET_MS / SECOND}; HttpOnly; SameSite=Strict${secure}`;
  }
}

/** @throws DomainError `unauthenticated` */
function ticketOf({ headers }: FastifyRequest): string {
  const ticket = bearerToken(headers.authorization) ?? cookieNamed(COOKIE, headers.cookie ?? '');
  if (ticket !== undefined) return ticket;
  throw new DomainError('unauthenticated', { detail: 'Open the link first, with POST /links/open.' });
}

const cookieNamed = (name: string, header: string): string | undefined =>
  header
    .split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1);
