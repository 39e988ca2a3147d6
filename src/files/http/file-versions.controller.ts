import { Controller, Delete, Get, Headers, HttpCode, HttpStatus, Param, Post, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { AnswerHeaders, ApiProblems, Caller, IfMatchHeader, Policy } from '../../http';
import type { Principal } from '../../kernel';
import { matching, tagged } from '../model/etag';
import { fileNotFound } from '../model/file';
import { FileVersions } from '../operations/file-versions';
import { GetFile } from '../operations/get-file';
import { FileVersionPageDto } from './dto/file-changes.dto';
import { FileDto } from './dto/files.dto';

@ApiTags('Files')
@ApiBearerAuth()
@Controller('files')
export class FileVersionsController {
  constructor(
    private readonly files: GetFile,
    private readonly versions: FileVersions,
  ) {}

  /** The versions of a file that are kept, newest first; all on one page. For its owner. */
  @Get(':id/versions')
  @Policy({ scope: 'files:read' })
  @ApiProblems('permission_denied', 'file_not_found', 'integrity_failed', 'decryption_failed')
  async listFileVersions(@Caller() caller: Principal, @Param('id') id: string): Promise<FileVersionPageDto> {
    return { items: [...(await this.versions.list(caller, id))], next_cursor: null };
  }

  /**
   * Removes an earlier version for good. The current one is removed with its file, or becomes an
   * earlier one when another is stored. If-Match takes the ETag of that version's content as well
   * as those of the file.
   */
  @Delete(':id/versions/:version')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:write' })
  @IfMatchHeader()
  @ApiProblems('permission_denied', 'file_not_found', 'conflict', 'precondition_failed', 'integrity_failed')
  async deleteFileVersion(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Param('version') version: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    await this.versions.remove(caller, id, numberOf(version), ifMatch === undefined ? undefined : matching(ifMatch));
  }

  /**
   * Stores the content of an earlier version again, as the newest one. With If-Match only if the
   * file has not changed.
   */
  @Post(':id/versions/:version/restore')
  @HttpCode(HttpStatus.OK)
  @Policy({ scope: 'files:write' })
  @IfMatchHeader()
  @AnswerHeaders('ETag')
  @ApiProblems('permission_denied', 'file_not_found', 'conflict', 'precondition_failed', 'integrity_failed')
  @ApiProblems('decryption_failed', 'quota_exceeded', 'storage_full', 'kms_unavailable')
  async restoreFileVersion(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Param('version') version: string,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileDto> {
    const row = await this.versions.restore(caller, id, numberOf(version), matching(ifMatch));
    return tagged(reply, await this.files.view(row));
  }
}

/** A text that is not a version number names no version. */
function numberOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw fileNotFound();
  return Number(text);
}
