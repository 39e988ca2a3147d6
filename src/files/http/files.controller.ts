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
    private readonly dropBoxes: UploadLinkRedemptions,
    private readonly deletion: DeleteFile,
    private readonly paging: Paging,
  ) {}

  /**
   * Stores a file, all of it or nothing. Either as a form (multipart/form-data): fields first, then one part `file`, whose file name and
   * type count where no field says otherwise. Or as the bytes alone (application/octet-stream) with the same fields in the query, `name`
   * at least. The bytes are encrypted as they come and never on disk in clear. With the ticket of a drop box as bearer token the file becomes
   * its owner's, and the answer has `size` and `sha256` alone.
   */
  @Post()
  @HttpCode(HttpStatus.CREATED)
  @Policy({ scope: 'files:write', principals: [...DATA_OWNERS, 'link-holder'], body: 'stream' })
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
      if (caller.kind === 'link-holder') return await this.receive(caller, upload);
      const file = await this.uploads.upload(caller, upload.request, upload.body, upload.declaredBytes);
      reply.header('location', `${PATH}/${file.id}`);
      return tagged(reply, file);
    } finally {
      upload.close();
    }
  }

  /** A taken name, and all else that the owner has, is never told to a sender. */
  private async receive(sender: LinkHolder, { request, body, declaredBytes }: IncomingUpload): Promise<DroppedFileDto> {
    const { size, sha256 } = await this.dropBoxes.receive(sender, request, body, declaredBytes);
    return { size, sha256 };
  }

  /**
   * The caller's files, oldest first; with `name` the one of exactly that name, with `prefix` those whose names begin so. Names are kept
   * sealed: at most 1,000 are opened a request, so a page by prefix may hold fewer items than `limit`, even none, and still have a next one.
   * With `trash=true` those in the trash instead, which say since when and until when; with `shared=true` the files of others that were
   * granted to the caller, each once, oldest grant first.
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

  /** A file's metadata. The ETag of the answer is what changes take as If-Match; so is that of the content. */
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
   * The key of the stored message, for the owner: with it and `GET /files/{id}/content?encrypted=true` any AWS Encryption SDK opens the
   * file without this service (a raw AES keyring with this namespace, name and key). Each version has a key of its own.
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
   * Removes a file, for everybody, with all its versions; its name is free at once. It is in the trash for TRASH_DAYS, where there is one, and
   * stays there if the same is asked once more; `permanent=true` removes it for good. With If-Match only if nobody changed it since.
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

/** Names of others' files are under others' keys, so nothing is found among them by name; and nobody shares what is in the trash. */
function kindOf({ shared, trash, name, prefix }: FileListQueryDto): ListKind {
  if (shared !== 'true') return trash === 'true' ? 'trash' : 'own';
  if (name === undefined && prefix === undefined && trash !== 'true') return 'shared';
  const fault = { pointer: '/shared', in: 'query', message: 'cannot be combined with name, prefix or trash' } as const;
  throw new DomainError('validation_failed', { fields: [fault] });
}
