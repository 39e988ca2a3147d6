import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems, Caller, ContentResponses, Policy, sendContent } from '../../http';
import { type Principal, retryOnStaleKey } from '../../kernel';
import { FileRef } from '../operations/access';
import { GetFile } from '../operations/get-file';
import { ContentQueryDto } from './dto/files.dto';

@ApiTags('Files')
@ApiBearerAuth()
@Controller('files')
export class FileContentController {
  constructor(private readonly files: GetFile) {}

  /**
   * A file's content, as a download. Status and headers are sent when the first requested bytes
   * have verified; if later ones do not, the connection is closed. HEAD responds without a body.
   */
  @Get(':id/content')
  @Policy({ scope: 'files:read' })
  @ContentResponses()
  @ApiProblems('file_not_found', 'precondition_failed', 'range_not_satisfiable', 'kms_unavailable')
  @ApiProblems('decryption_failed', 'integrity_failed')
  async downloadFile(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query() query: ContentQueryDto,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.#serve(caller, { id }, query, { request, reply });
  }

  /** The same by the file's name. */
  @Get('by-name/:name/content')
  @Policy({ scope: 'files:read' })
  @ContentResponses()
  @ApiProblems('file_not_found', 'precondition_failed', 'range_not_satisfiable', 'kms_unavailable')
  @ApiProblems('decryption_failed', 'integrity_failed')
  async downloadFileByName(
    @Caller() caller: Principal,
    @Param('name') name: string,
    @Query() query: ContentQueryDto,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.#serve(caller, { name }, query, { request, reply });
  }

  async #serve(
    caller: Principal,
    ref: FileRef,
    query: ContentQueryDto,
    http: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  ): Promise<void> {
    const { encrypted, version } = query;
    const form = encrypted === 'true' ? 'stored' : 'clear';
    // Nothing has gone out when a first read fails, and a row that is read again is a new content.
    await retryOnStaleKey(async () =>
      sendContent(http.request, http.reply, await this.files.content(caller, ref, { form, version })),
    );
  }
}
