import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { CONFIG, Config } from '../../config';
import { ApiProblems, Caller, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../../http';
import { type Principal, SECOND } from '../../kernel';
import { TICKET_MS } from '../../links';
import { FileLinks, UploadLinkRedemptions } from '../operations/file-links';
import {
  CreatedLinkDto,
  DownloadLinkPageDto,
  NewDownloadLinkDto,
  NewUploadLinkDto,
  OpenLinkDto,
  UploadLinkPageDto,
  UploadTicketDto,
  downloadLinkView,
  limitsOf,
  uploadLinkView,
} from './dto/links.dto';

@ApiTags('Links')
@ApiBearerAuth()
@Controller('files/:id/links')
export class FileLinksController {
  constructor(
    private readonly links: FileLinks,
    private readonly paging: Paging,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Creates a link to a file: anybody who has it reads the current content, without an account. It
   * can expire after some time or some downloads, and can require a password. The URL is shown only
   * once.
   */
  @Post()
  @HttpCode(HttpStatus.OK)
  @Policy({ scope: 'files:share', stepUp: true, idempotent: 'secret', costly: 'password-links' })
  @ApiProblems('step_up_required', 'file_not_found', 'permission_denied', 'overloaded')
  async createFileLink(
    @Caller() caller: Principal,
    @Param('id') fileId: string,
    @Body() body: NewDownloadLinkDto,
  ): Promise<CreatedLinkDto> {
    const { row, token } = await this.links.create(caller, fileId, { ...limitsOf(body), maxUses: body.max_downloads });
    return { id: row._id, url: `${this.config.http.publicUrl}/l#${token}` };
  }

  /** The links to a file, oldest first, including expired ones for another day. */
  @Get()
  @Policy({ scope: 'files:share' })
  @ApiProblems('file_not_found', 'permission_denied', 'invalid_cursor')
  async listFileLinks(
    @Caller() caller: Principal,
    @Param('id') fileId: string,
    @Query() { limit = DEFAULT_LIMIT, cursor }: PageQueryDto,
  ): Promise<DownloadLinkPageDto> {
    const scope = { holderId: caller.ownerId, query: JSON.stringify(['file-links', fileId]) };
    const page = await this.links.list(caller, fileId, limit, this.paging.position(cursor, scope));
    const next_cursor = page.next === undefined ? null : this.paging.cursor(page.next, scope);
    return { items: page.items.map(downloadLinkView), next_cursor };
  }

  /** Revokes a link and its tickets at once. */
  @Delete(':linkId')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:share' })
  @ApiProblems('file_not_found', 'not_found', 'permission_denied')
  async removeFileLink(
    @Caller() caller: Principal,
    @Param('id') fileId: string,
    @Param('linkId') linkId: string,
  ): Promise<void> {
    await this.links.remove(caller, fileId, linkId);
  }
}

@ApiTags('Links')
@Controller('upload-links')
export class UploadLinksController {
  constructor(
    private readonly uploadLinks: UploadLinkRedemptions,
    private readonly paging: Paging,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Creates an upload link: anybody who has it uploads files to the caller, within the caller's
   * quota, and sees none. The URL is shown only once.
   */
  @Post()
  @HttpCode(HttpStatus.OK)
  @ApiBearerAuth()
  @Policy({ scope: 'files:share', stepUp: true, idempotent: 'secret', costly: 'password-links', firstWrite: true })
  @ApiProblems('step_up_required', 'overloaded')
  async createUploadLink(@Caller() caller: Principal, @Body() body: NewUploadLinkDto): Promise<CreatedLinkDto> {
    const limits = { ...limitsOf(body), maxUses: body.max_uploads, maxSize: body.max_size };
    const { row, token } = await this.uploadLinks.create(caller, limits);
    return { id: row._id, url: `${this.config.http.publicUrl}/l#${token}` };
  }

  /** The caller's upload links, oldest first, including expired ones for another day. */
  @Get()
  @ApiBearerAuth()
  @Policy({ scope: 'files:share' })
  @ApiProblems('invalid_cursor')
  async listUploadLinks(
    @Caller() caller: Principal,
    @Query() { limit = DEFAULT_LIMIT, cursor }: PageQueryDto,
  ): Promise<UploadLinkPageDto> {
    const scope = { holderId: caller.ownerId, query: JSON.stringify(['upload-links']) };
    const page = await this.uploadLinks.list(caller, limit, this.paging.position(cursor, scope));
    const next_cursor = page.next === undefined ? null : this.paging.cursor(page.next, scope);
    return { items: page.items.map(uploadLinkView), next_cursor };
  }

  /** Revokes an upload link at once. Files that came through it stay. */
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiBearerAuth()
  @Policy({ scope: 'files:share' })
  @ApiProblems('not_found')
  async removeUploadLink(@Caller() caller: Principal, @Param('id') linkId: string): Promise<void> {
    await this.uploadLinks.remove(caller, linkId);
  }

  /**
   * Redeems an upload link: spends one of its uploads, and returns a ticket for one POST /files
   * within 5 minutes, sent as a bearer token. Five wrong passwords in a row close the link for 15
   * minutes.
   */
  @Post('open')
  @HttpCode(200)
  @Policy({ access: 'public', rateLimit: 'links' })
  @ApiProblems('not_found', 'link_expired', 'login_failed', 'too_many_attempts', 'overloaded')
  async openUploadLink(@Body() { token, password }: OpenLinkDto): Promise<UploadTicketDto> {
    const { token: ticket, link } = await this.uploadLinks.open(token, password);
    return { ticket, expires_in: TICKET_MS / SECOND, max_size: link.max_size ?? null };
  }
}
