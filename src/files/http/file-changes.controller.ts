import {
  Body,
  Controller,
  Headers,
  HttpCode,
  HttpStatus,
  Param,
  Patch,
  Post,
  Put,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AnswerHeaders, ApiProblems, Caller, IfMatchHeader, Policy } from '../../http';
import { DomainError, type Principal } from '../../kernel';
import { matching, tagged } from '../model/etag';
import { GetFile } from '../operations/get-file';
import { RekeyFile } from '../operations/rekey-file';
import { ReplaceContent } from '../operations/replace-content';
import { UpdateFile, parseChange, parseName } from '../operations/update-file';
import { VerifyFile } from '../operations/verify-file';
import { ChangeFileDto, FileCheckDto, RestoreFileDto } from './dto/file-changes.dto';
import { ContentFieldsDto, FileDto } from './dto/files.dto';
import { openContent } from './request/upload-body';
import { CONTENT_FORM } from './request/upload-fields';

@ApiTags('Files')
@ApiBearerAuth()
@Controller('files')
export class FileChangesController {
  constructor(
    private readonly files: GetFile,
    private readonly changes: UpdateFile,
    private readonly replacements: ReplaceContent,
    private readonly rekeying: RekeyFile,
    private readonly verification: VerifyFile,
  ) {}

  /**
   * Changes name, expiry or media type of a file. Absent fields stay. With If-Match only if the
   * file has not changed.
   */
  @Patch(':id')
  @Policy({ scope: 'files:write' })
  @IfMatchHeader()
  @AnswerHeaders('ETag')
  @ApiProblems('permission_denied', 'file_not_found', 'file_exists', 'conflict', 'precondition_failed')
  @ApiProblems('integrity_failed', 'decryption_failed', 'kms_unavailable')
  async changeFile(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body() body: ChangeFileDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileDto> {
    const row = await this.changes.change(caller, id, parseChange(body), matching(ifMatch));
    return tagged(reply, await this.files.view(row));
  }

  /**
   * Stores a new version of a file, all of it or nothing, in the two forms of `POST /files`.
   * If-Match has to name the state that it replaces: of several requests that name the same one,
   * one succeeds. The previous content stays as an earlier version; 20 are kept, and count in the
   * quota. Media type and expiry stay where the request names none.
   */
  @Put(':id/content')
  @Policy({ scope: 'files:write', body: 'stream' })
  @IfMatchHeader({ required: true })
  @AnswerHeaders('ETag')
  @ApiConsumes('multipart/form-data', 'application/octet-stream')
  @ApiBody(CONTENT_FORM)
  @ApiProblems('permission_denied', 'file_not_found', 'conflict', 'precondition_failed', 'precondition_required')
  @ApiProblems('too_large', 'unsupported_media_type', 'request_timeout', 'checksum_mismatch', 'integrity_failed')
  @ApiProblems('quota_exceeded', 'storage_full', 'kms_unavailable')
  async replaceFileContent(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query() query: ContentFieldsDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileDto> {
    if (ifMatch === undefined) {
      throw new DomainError('precondition_required', {
        detail: 'Name the revision of the file to replace in If-Match.',
      });
    }
    const holds = matching(ifMatch);
    const target = await this.replacements.look(caller, id, holds);
    const upload = await openContent(request.raw, query, this.replacements.largest);
    try {
      const row = await this.replacements.replace(caller, target, upload.request, upload, holds);
      return tagged(reply, await this.files.view(row));
    } finally {
      upload.close();
    }
  }

  /** Restores a file from the trash, under its former name or another one. */
  @Post(':id/restore')
  @HttpCode(HttpStatus.OK)
  @Policy({ scope: 'files:write' })
  @AnswerHeaders('ETag')
  @ApiProblems('file_not_found', 'file_exists', 'conflict', 'integrity_failed', 'decryption_failed', 'kms_unavailable')
  async restoreFile(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body() body: RestoreFileDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileDto> {
    const row = await this.changes.restore(caller, id, parseName(body.name));
    return tagged(reply, await this.files.view(row));
  }

  /**
   * Encrypts all versions of a file anew under new file keys. Responds when it is done, however
   * large the file is. Downloads continue meanwhile; where it stops half-way, each version is
   * readable under its old or its new key.
   */
  @Post(':id/rekey')
  @HttpCode(HttpStatus.OK)
  @Policy({ scope: 'files:write', costly: 'read-through' })
  @AnswerHeaders('ETag')
  @ApiProblems('permission_denied', 'file_not_found', 'conflict', 'integrity_failed', 'decryption_failed')
  @ApiProblems('storage_full', 'kms_unavailable')
  async rekeyFile(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileDto> {
    return tagged(reply, await this.files.view(await this.rekeying.rekey(caller, id)));
  }

  /**
   * Reads all versions of a file to their last byte and verifies them. The response is 200 also for
   * a damaged one.
   */
  @Post(':id/verify')
  @HttpCode(HttpStatus.OK)
  @Policy({ scope: 'files:read', costly: 'read-through' })
  @ApiProblems('permission_denied', 'file_not_found', 'integrity_failed', 'kms_unavailable')
  async verifyFile(@Caller() caller: Principal, @Param('id') id: string): Promise<FileCheckDto> {
    const { versions, ...check } = await this.verification.verify(caller, id);
    return { ...check, versions: [...versions] };
  }
}
