import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiHeader, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import { applyDecorators } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems, Caller, Policy, sendContent } from '../http';
import type { Principal } from '../kernel';
import { ContentQueryDto } from './files.dto';
import { FileRef, FilesService } from './files.service';

const BYTES = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };

/** What both content routes answer, and which headers they heed. */
const ContentAnswers = (): MethodDecorator =>
  applyDecorators(
    ApiProduces('application/octet-stream'),
    ApiHeader({ name: 'Range', required: false, description: 'One range of bytes', example: 'bytes=0-1023' }),
    ApiHeader({ name: 'If-Range', required: false, description: 'The range only if the content is this one still' }),
    ApiHeader({ name: 'If-None-Match', required: false, description: 'No body if the content is this one still' }),
    ApiResponse({ status: 200, description: 'The whole content, as a download', content: BYTES }),
    ApiResponse({ status: 206, description: 'The range', content: BYTES }),
    ApiResponse({ status: 304, description: 'Not modified' }),
    ApiProblems(
      'file_not_found',
      'precondition_failed',
      'range_not_satisfiable',
      'decryption_failed',
      'integrity_failed',
    ),
    ApiProblems('kms_unavailable'),
  );

@ApiTags('Files')
@ApiBearerAuth()
@Controller('files')
export class FileContentController {
  constructor(private readonly files: FilesService) {}

  /**
   * A file's content, always as a download. Status and headers go out only when the first bytes asked for have verified; if later ones do
   * not, the connection breaks. HEAD answers without a body.
   */
  @Get(':id/content')
  @Policy({ access: 'user' })
  @ContentAnswers()
  async byId(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query() query: ContentQueryDto,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.serve(caller, { id }, query, { request, reply });
  }

  /** The same by the file's name. */
  @Get('by-name/:name/content')
  @Policy({ access: 'user' })
  @ContentAnswers()
  async byName(
    @Caller() caller: Principal,
    @Param('name') name: string,
    @Query() query: ContentQueryDto,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.serve(caller, { name }, query, { request, reply });
  }

  private async serve(
    caller: Principal,
    ref: FileRef,
    query: ContentQueryDto,
    http: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  ): Promise<void> {
    const { encrypted, version } = query;
    const content = await this.files.content(caller, ref, { form: encrypted === 'true' ? 'stored' : 'clear', version });
    await sendContent(http.request, http.reply, content);
  }
}
