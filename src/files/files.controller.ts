import { Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiConsumes, ApiCreatedResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems, Caller, DEFAULT_LIMIT, Paging, Policy } from '../http';
import type { Principal } from '../kernel';
import { IncomingUpload, openUpload } from './body/open-upload';
import { FileListing } from './file-listing';
import { FileUploads } from './file-uploads';
import { DroppedFileDto, FileDto, FileKeyDto, FileListQueryDto, FilePageDto, UploadQueryDto } from './files.dto';
import { FilesService } from './files.service';
import { DropBoxes, Sender, isSender } from './links/drop-boxes';
import { UPLOAD_FORM } from './upload-form';

const PATH = '/files';

@ApiTags('Files')
@ApiBearerAuth()
@Controller('files')
export class FilesController {
  constructor(
    private readonly files: FilesService,
    private readonly listing: FileListing,
    private readonly uploads: FileUploads,
    private readonly dropBoxes: DropBoxes,
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
  @Policy({ access: 'user', body: 'stream', tickets: true })
  @ApiConsumes('multipart/form-data', 'application/octet-stream')
  @ApiBody(UPLOAD_FORM)
  @ApiCreatedResponse({ type: FileDto })
  @ApiProblems('file_exists', 'too_large', 'unsupported_media_type', 'request_timeout', 'checksum_mismatch')
  @ApiProblems('quota_exceeded', 'storage_full', 'kms_unavailable')
  async upload(
    @Caller() caller: Principal,
    @Query() query: UploadQueryDto,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileDto | DroppedFileDto> {
    const upload = await openUpload(request.raw, query);
    try {
      if (isSender(caller)) return await this.receive(caller, upload);
      const file = await this.uploads.upload(caller, upload.request, upload.content, upload.declaredBytes);
      reply.header('location', `${PATH}/${file.id}`);
      return file;
    } finally {
      upload.close();
    }
  }

  /** A taken name, and all else that the owner has, is never told to a sender. */
  private async receive(sender: Sender, { request, content, declaredBytes }: IncomingUpload): Promise<DroppedFileDto> {
    const { size, sha256 } = await this.dropBoxes.receive(sender, request, content, declaredBytes);
    return { size, sha256 };
  }

  /**
   * The caller's files, oldest first; with `name` the one of exactly that name, with `prefix` those whose names begin so. Names are kept
   * sealed: at most 1,000 are opened a request, so a page by prefix may hold fewer items than `limit`, even none, and still have a next one.
   */
  @Get()
  @Policy({ access: 'user' })
  @ApiProblems('invalid_cursor', 'integrity_failed', 'decryption_failed')
  async list(@Caller() caller: Principal, @Query() query: FileListQueryDto): Promise<FilePageDto> {
    const { name, prefix, limit = DEFAULT_LIMIT } = query;
    const scope = { userId: caller.userId, query: JSON.stringify([PATH, name ?? null, prefix ?? null]) };
    const after = this.paging.position(query.cursor, scope);
    const page = await (name === undefined
      ? this.listing.list(caller, { limit, after, prefix })
      : this.listing.listNamed(caller, name, prefix));
    return {
      items: [...page.files],
      next_cursor: page.next === undefined ? null : this.paging.cursor(page.next, scope),
    };
  }

  /** A file by its name. */
  @Get('by-name/:name')
  @Policy({ access: 'user' })
  @ApiProblems('file_not_found', 'integrity_failed', 'decryption_failed')
  getByName(@Caller() caller: Principal, @Param('name') name: string): Promise<FileDto> {
    return this.files.get(caller, { name });
  }

  /** A file's metadata. */
  @Get(':id')
  @Policy({ access: 'user' })
  @ApiProblems('file_not_found', 'integrity_failed', 'decryption_failed')
  get(@Caller() caller: Principal, @Param('id') id: string): Promise<FileDto> {
    return this.files.get(caller, { id });
  }

  /**
   * The key of the stored message, for the owner: with it and `GET /files/{id}/content?encrypted=true` any AWS Encryption SDK opens the
   * file without this service (a raw AES keyring with this namespace, name and key).
   */
  @Get(':id/key')
  @Policy({ access: 'user', stepUp: true })
  @ApiProblems('step_up_required', 'file_not_found', 'integrity_failed', 'decryption_failed')
  async key(@Caller() caller: Principal, @Param('id') id: string): Promise<FileKeyDto> {
    const { namespace, keyName, key } = await this.files.exportKey(caller, id);
    return { namespace, key_name: keyName, key };
  }

  /** Removes a file for good. Its name is free at once. */
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ access: 'user' })
  @ApiProblems('file_not_found', 'integrity_failed')
  async remove(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    await this.files.remove(caller, id);
  }
}
