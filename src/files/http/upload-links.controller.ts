import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { CONFIG, Config } from '../../config/index';
import { ApiProblems, Caller, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../../http/index';
import { SECOND } from '../../kernel/index';
import type { Principal } from '../../kernel/index';
import { TICKET_MS } from '../../links/index';
import { UploadLinkRedemptions } from '../operations/upload-link-redemptions';
import { limitsOf, uploadLinkView } from './dto/link-views';
import { CreatedLinkDto, NewUploadLinkDto, OpenLinkDto, UploadLinkPageDto, UploadTicketDto } from './dto/links.dto';

@ApiTags('Links')
@Controller('upload-links')
export class UploadLinksController {
  constructor(
    private readonly dropBoxes: UploadLinkRedemptions,
    private readonly paging: Paging,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Makes a drop box: whoever has the link puts files among the caller's own, within the caller's quota, and sees none. The URL is shown
   * this once.
   */
  @Post()
  @HttpCode(HttpStatus.OK)
  @ApiBearerAuth()
  @Policy({ scope: 'files:share', stepUp: true, idempotent: 'secret', costly: 'password-links' })
  @ApiProblems('step_up_required', 'overloaded')
  async createUploadLink(@Caller() caller: Principal, @Body() body: NewUploadLinkDto): Promise<CreatedLinkDto> {
    const limits = { ...limitsOf(body), maxUses: body.max_uploads, maxSize: body.max_size };
    const { row, token } = await this.dropBoxes.create(caller, limits);
    return { id: row._id, url: `${this.config.http.publicUrl}/l#${token}` };
  }

  /** The caller's drop boxes, oldest first; ended ones for another day. */
  @Get()
  @ApiBearerAuth()
  @Policy({ scope: 'files:share' })
  @ApiProblems('invalid_cursor')
  async listUploadLinks(
    @Caller() caller: Principal,
    @Query() { limit = DEFAULT_LIMIT, cursor }: PageQueryDto,
  ): Promise<UploadLinkPageDto> {
    const scope = { holderId: caller.ownerId, query: JSON.stringify(['upload-links']) };
    const page = await this.dropBoxes.list(caller, limit, this.paging.position(cursor, scope));
    const next_cursor = page.next === undefined ? null : this.paging.cursor(page.next, scope);
    return { items: page.items.map(uploadLinkView), next_cursor };
  }

  /** Ends a drop box at once. What came through it stays. */
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiBearerAuth()
  @Policy({ scope: 'files:share' })
  @ApiProblems('not_found')
  async removeUploadLink(@Caller() caller: Principal, @Param('id') linkId: string): Promise<void> {
    await this.dropBoxes.remove(caller, linkId);
  }

  /**
   * Opens a drop box: spends one of its uploads, and gives a ticket for one POST /files within 5 minutes, sent as a bearer token. Five wrong
   * passwords in a row close the link for 15 minutes.
   */
  @Post('open')
  @HttpCode(200)
  @Policy({ access: 'public', rateLimit: 'links' })
  @ApiProblems('not_found', 'link_expired', 'login_failed', 'too_many_attempts', 'overloaded')
  async openUploadLink(@Body() { token, password }: OpenLinkDto): Promise<UploadTicketDto> {
    const { token: ticket, link } = await this.dropBoxes.open(token, password);
    return { ticket, expires_in: TICKET_MS / SECOND, max_size: link.max_size ?? null };
  }
}
