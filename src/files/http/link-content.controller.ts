import { Body, Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiExcludeController, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CONFIG, Config } from '../../config';
import {
  AnswerHeaders,
  ApiProblems,
  ContentResponses,
  Policy,
  bearerToken,
  publicPathOf,
  sendContent,
} from '../../http';
import { DomainError, SECOND, retryOnStaleKey } from '../../kernel';
import { LONGEST_TICKET_MS, TICKET_MS } from '../../links';
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
   * Redeems a link: spends one of its downloads, and returns a ticket for 5 minutes, which each use
   * extends, to an hour at most. Send the ticket as a bearer token, or by the cookie that this
   * response sets; it is never part of a URL. Five wrong passwords in a row close the link for 15
   * minutes.
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
    reply.header('set-cookie', this.#cookie(id, ticket));
    const url = `${this.config.http.publicUrl}${PATH}/${id}`;
    const { name, size, content_type } = file;
    return { ticket, ticket_id: id, url, expires_in: TICKET_MS / SECOND, name, size, content_type };
  }

  /**
   * The content of a ticket, as a download, with one Range at a time. HEAD responds without a body.
   */
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
    const ticket = ticketOf(request, ticketId);
    await retryOnStaleKey(async () => {
      const content = await this.links.content(ticketId, ticket);
      const release = this.links.keepTicket(ticketId);
      if (reply.raw.destroyed) release();
      else reply.raw.once('close', release);
      await sendContent(request, reply, content);
    });
  }

  /**
   * Hidden from scripts, and not sent from other sites or for other tickets. It lasts as long as a
   * ticket can; the ticket's row says when it expires.
   */
  #cookie(ticketId: string, ticket: string): string {
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

/** A cookie of another path may have the same name: the ticket has the id. */
function cookieOf(ticketId: string, header: string): string | undefined {
  const tickets = header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${COOKIE}=`))
    .map((pair) => pair.slice(COOKIE.length + 1));
  return tickets.find((ticket) => ticket.split('.')[1] === ticketId) ?? tickets[0];
}

/** The files of the page: a list, so that no path of a client's reaches the disk. */
const ASSETS: Readonly<Record<string, string>> = {
  'link.css': 'text/css; charset=utf-8',
  'link.js': 'text/javascript; charset=utf-8',
};

/** Script, style, requests and media from this server only, and no inline code. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "media-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';');

/**
 * The page that a link shows in a browser. The secret is in the fragment, which browsers never
 * send: the page's script posts it, so that no log of a server or proxy has it.
 */
@ApiExcludeController()
@Controller('l')
export class LinkPageController {
  @Get()
  @Policy({ access: 'public', always: true, page: true })
  async page(@Res() reply: FastifyReply): Promise<void> {
    await sendPage(reply, await pageText());
  }

  @Get(':asset')
  @Policy({ access: 'public', always: true, page: true })
  async asset(@Param('asset') name: string, @Res() reply: FastifyReply): Promise<void> {
    // The page as it stands at /l/: a browser follows its paths from there.
    if (name === 'index.html') return sendPage(reply, (await pageText()).replaceAll('="l/', '="'));
    const type = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
    if (type === undefined) throw new DomainError('not_found');
    await reply.type(type).send(await readFile(join(__dirname, 'link-page', name)));
  }
}

const pageText = (): Promise<string> => readFile(join(__dirname, 'link-page', 'link.html'), 'utf8');

async function sendPage(reply: FastifyReply, page: string): Promise<void> {
  await reply.header('content-security-policy', PAGE_POLICY).type('text/html; charset=utf-8').send(page);
}
