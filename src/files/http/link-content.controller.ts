import { Body, Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CONFIG, Config } from '../../config/index';
import {
  AnswerHeaders,
  ApiProblems,
  ContentResponses,
  Policy,
  bearerToken,
  publicPathOf,
  sendContent,
} from '../../http/index';
import { DomainError, SECOND } from '../../kernel/index';
import { LONGEST_TICKET_MS, TICKET_MS } from '../../links/index';
import { FileLinks } from '../operations/file-links';
import { DownloadTicketDto, OpenLinkDto } from './dto/links.dto';

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
   * Opens a link: spends one of its downloads, and gives a ticket for 5 minutes, which each use extends, to an hour at most. The ticket is
   * sent as a bearer token, or by the cookie that this answer sets; it is never part of a URL. Five wrong passwords in a row close the link
   * for 15 minutes.
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
    const { id, token: ticket, file } = await this.links.open(token, password);
    reply.header('set-cookie', this.cookie(id, ticket));
    const url = `${this.config.http.publicUrl}${PATH}/${id}`;
    const { name, size, content_type } = file;
    return { ticket, ticket_id: id, url, expires_in: TICKET_MS / SECOND, name, size, content_type };
  }

  /** The content behind a ticket, as a download; with one Range at a time. HEAD answers without a body. */
  @Get('content/:ticketId')
  @Policy({ access: 'public', rateLimit: 'tickets' })
  @ApiBearerAuth('ticket')
  @ContentResponses()
  @ApiProblems('unauthenticated', 'token_expired', 'link_expired', 'file_not_found', 'precondition_failed')
  @ApiProblems('range_not_satisfiable', 'rate_limited', 'kms_unavailable', 'decryption_failed', 'integrity_failed')
  async downloadLinkContent(
    @Param('ticketId') ticketId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const content = await this.links.content(ticketId, ticketOf(request, ticketId));
    const release = this.links.keepTicket(ticketId);
    if (reply.raw.destroyed) release();
    else reply.raw.once('close', release);
    await sendContent(request, reply, content);
  }

  /**
   * Never shown to scripts, nor sent from other sites or for other tickets: each link that is open in a browser has its own. It lives as
   * long as a ticket that is in use can; the ticket's row says when it ends.
   */
  private cookie(ticketId: string, ticket: string): string {
    const { http } = this.config;
    const path = `${publicPathOf(http)}${PATH}/${ticketId}`;
    const secure = new URL(http.publicUrl).protocol === 'https:' ? '; Secure' : '';
    return `${COOKIE}=${ticket}; Path=${path}; Max-Age=${LONGEST_TICKET_MS / SECOND}; HttpOnly; SameSite=Strict${secure}`;
  }
}

/** @throws DomainError `unauthenticated` */
function ticketOf({ headers }: FastifyRequest, ticketId: string): string {
  const ticket = bearerToken(headers.authorization) ?? cookieOf(ticketId, headers.cookie ?? '');
  if (ticket !== undefined) return ticket;
  throw new DomainError('unauthenticated', { detail: 'Open the link first, with POST /links/open.' });
}

/** A cookie of another path may have the same name: the ticket says whose it is. */
function cookieOf(ticketId: string, header: string): string | undefined {
  const tickets = header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${COOKIE}=`))
    .map((pair) => pair.slice(COOKIE.length + 1));
  return tickets.find((ticket) => ticket.split('.')[1] === ticketId) ?? tickets[0];
}
