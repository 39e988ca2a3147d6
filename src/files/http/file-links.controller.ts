import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { CONFIG, Config } from '../../config/index';
import { ApiProblems, Caller, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../../http/index';
import type { Principal } from '../../kernel/index';
import { FileLinks } from '../operations/file-links';
import { downloadLinkView, limitsOf } from './dto/link-views';
import { CreatedLinkDto, DownloadLinkPageDto, NewDownloadLinkDto } from './dto/links.dto';

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
   * Makes a link to a file: whoever has it reads the current content, without an account. It can end by itself, after some time or some
   * downloads, and can ask for a password. The URL is shown this once.
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

  /** The links to a file, oldest first; ended ones for another day. */
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

  /** Ends a link at once, and with it what was opened by it. */
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
