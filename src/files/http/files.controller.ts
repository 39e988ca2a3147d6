import { Controller, Delete, Get, Headers, HttpCode, HttpStatus, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiConsumes, ApiCreatedResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  AnswerHeaders,
  ApiProblems,
  Caller,
  DATA_OWNERS,
  DEFAULT_LIMIT,
  IfMatchHeader,
  Paging,
  Policy,
} from '../../http';
import { DomainError, type LinkHolder, type Principal } from '../../kernel';
import { matching, tagged } from '../model/etag';
import { CreateFile } from '../operations/create-file';
import { DeleteFile } from '../operations/delete-file';
import { UploadLinkRedemptions } from '../operations/file-links';
import { GetFile } from '../operations/get-file';
import { ListFiles, ListKind } from '../operations/list-files';
import {
  DroppedFileDto,
  FileDto,
  FileKeyDto,
  FileListQueryDto,
  FilePageDto,
  RemovalQueryDto,
  UploadQueryDto,
  VersionQueryDto,
} from './dto/files.dto';
import { IncomingUpload, openUpload } from './request/upload-body';
import { UPLOAD_FORM } from './request/upload-fields';

const PATH = '/files';

@ApiTags('Files')
@ApiBearerAuth()
@Controller('files')
export class FilesController {
  constructor(
    private readonly files: GetFile,
    private readonly listing: ListFiles,
    private readonly uploads: CreateFile,
    private readonly uploadLinks: UploadLinkRedemptions,
    private readonly deletion: DeleteFile,
    private readonly paging: Paging,
  ) {}

  /**
   * Stores a file, all of it or nothing. Send a form (multipart/form-data) with fields first and
   * then one part `file`, whose file name and type apply where no field names others. Or send the
   * bytes alone (application/octet-stream) with the same fields in the query, at least `name`. The
   * bytes are encrypted as they arrive. With the ticket of an upload link as bearer token the file
   * belongs to the owner of the link, and the response has only `size` and `sha256`.
   */
  @Post()
  @HttpCode(HttpStatus.CREATED)
  @Policy({ scope: 'files:write', principals: [...DATA_OWNERS, 'link-holder'], body: 'stream', firstWrite: true })
  @ApiConsumes('multipart/form-data', 'application/octet-stream')
  @ApiBody(UPLOAD_FORM)
  @ApiCreatedResponse({ type: FileDto })
  @AnswerHeaders('Location', 'ETag')
  @ApiProblems('file_exists', 'too_large', 'unsupported_media_type', 'request_timeout', 'checksum_mismatch')
  @ApiProblems('quota_exceeded', 'storage_full', 'kms_unavailable')
  async uploadFile(
    @Caller() caller: Principal,
    @Query() query: UploadQueryDto,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileDto | DroppedFileDto> {
    const upload = await openUpload(request.raw, query, this.uploads.largest(caller));
    try {
      if (caller.kind === 'link-holder') return await this.#receive(caller, upload);
      const file = await this.uploads.upload(caller, upload.request, upload.body, upload.declaredBytes);
      reply.header('location', `${PATH}/${file.id}`);
      return tagged(reply, file);
    } finally {
      upload.close();
    }
  }

  /** The holder of a link learns nothing about the owner's files. */
  async #receive(sender: LinkHolder, { request, body, declaredBytes }: IncomingUpload): Promise<DroppedFileDto> {
    const { size, sha256 } = await this.uploadLinks.receive(sender, request, body, declaredBytes);
    return { size, sha256 };
  }

  /**
   * The caller's files, oldest first. `name` finds the one of exactly that name, `prefix` those
   * whose names begin with it. Names are encrypted, and a request decrypts at most 1,000: a page by
   * prefix may hold fewer items than `limit`, even none, and still have a next one. `trash=true`
   * lists the trash, with the times of removal; `shared=true` lists files that others granted to
   * the caller, each once, oldest grant first.
   */
  @Get()
  @Policy({ scope: 'files:read' })
  @ApiProblems('invalid_cursor', 'integrity_failed', 'decryption_failed')
  async listFiles(@Caller() caller: Principal, @Query() query: FileListQueryDto): Promise<FilePageDto> {
    const { name, prefix, limit = DEFAULT_LIMIT } = query;
    const kind = kindOf(query);
    const scope = { holderId: caller.ownerId, query: JSON.stringify([PATH, name ?? null, prefix ?? null, kind]) };
    const after = this.paging.position(query.cursor, scope);
    const page = await this.listing.page(caller, { limit, after, name, prefix, kind });
    return {
      items: [...page.files],
      next_cursor: page.next === undefined ? null : this.paging.cursor(page.next, scope),
    };
  }

  /** A file by its name. */
  @Get('by-name/:name')
  @Policy({ scope: 'files:read' })
  @AnswerHeaders('ETag')
  @ApiProblems('file_not_found', 'integrity_failed', 'decryption_failed')
  async getFileByName(
    @Caller() caller: Principal,
    @Param('name') name: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileDto> {
    return tagged(reply, await this.files.get(caller, { name }));
  }

  /**
   * A file's metadata. Changes accept the ETag of this response, or of the content, as If-Match.
   */
  @Get(':id')
  @Policy({ scope: 'files:read' })
  @AnswerHeaders('ETag')
  @ApiProblems('file_not_found', 'integrity_failed', 'decryption_failed')
  async getFile(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileDto> {
    return tagged(reply, await this.files.get(caller, { id }));
  }

  /**
   * The key of the stored message, for the owner. With it any AWS Encryption SDK decrypts
   * `GET /files/{id}/content?encrypted=true` without this service, by a raw AES keyring of this
   * namespace, name and key. Each version has its own key.
   */
  @Get(':id/key')
  @Policy({ scope: 'files:read', stepUp: true })
  @ApiProblems('step_up_required', 'file_not_found', 'integrity_failed', 'decryption_failed')
  async getFileKey(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query() { version }: VersionQueryDto,
  ): Promise<FileKeyDto> {
    const { namespace, keyName, key } = await this.files.exportKey(caller, id, version);
    return { namespace, key_name: keyName, key };
  }

  /**
   * Removes a file with all its versions; its name is free at once. It stays in the trash for
   * TRASH_DAYS, also after a repeated request; `permanent=true` removes it for good. With If-Match
   * only if it has not changed.
   */
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:write' })
  @IfMatchHeader()
  @ApiProblems('permission_denied', 'file_not_found', 'precondition_failed', 'integrity_failed')
  async deleteFile(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query() { permanent }: RemovalQueryDto,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    const holds = ifMatch === undefined ? undefined : matching(ifMatch);
    await this.deletion.remove(caller, id, { holds, permanent: permanent === 'true' });
  }
}

/**
 * Names of shared files are encrypted under their owners' keys, so no search finds them; files in
 * the trash are not shared.
 */
function kindOf({ shared, trash, name, prefix }: FileListQueryDto): ListKind {
  if (shared !== 'true') return trash === 'true' ? 'trash' : 'own';
  if (name === undefined && prefix === undefined && trash !== 'true') return 'shared';
  const fault = { pointer: '/shared', in: 'query', message: 'cannot be combined with name, prefix or trash' } as const;
  throw new DomainError('validation_failed', { fields: [fault] });
}
