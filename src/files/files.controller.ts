import { Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiConsumes, ApiCreatedResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems, Caller, DEFAULT_LIMIT, Paging, Policy } from '../http';
import { DomainError, type Principal } from '../kernel';
import { IncomingUpload, openUpload } from './body/open-upload';
import { FileListing, ListChoice } from './file-listing';
import { FilePage } from './file-pages';
import { FileSharing } from './file-sharing';
import { FileUploads } from './file-uploads';
import { DroppedFileDto, FileDto, FileKeyDto, FileListQueryDto, FilePageDto, UploadQueryDto } from './files.dto';
import { FilesService } from './files.service';
import { DropBoxes, Sender, isSender } from './links/drop-boxes';
import { UPLOAD_FORM } from './upload-form';

const PATH = '/files';

interface ListKind {
  readonly name: string | undefined;
  /** Files of others that were granted to the caller. */
  readonly shared: boolean;
}

@ApiTags('Files')
@ApiBearerAuth()
@Controller('files')
export class FilesController {
  constructor(
    private readonly files: FilesService,
    private readonly listing: FileListing,
    private readonly sharing: FileSharing,
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
   * With `shared=true` instead the files of others that were granted to the caller, each once, oldest grant first.
   */
  @Get()
  @Policy({ access: 'user' })
  @ApiProblems('invalid_cursor', 'integrity_failed', 'decryption_failed')
  async list(@Caller() caller: Principal, @Query() query: FileListQueryDto): Promise<FilePageDto> {
    const { name, prefix, limit = DEFAULT_LIMIT } = query;
    const shared = sharedOnly(query);
    const scope = { userId: caller.userId, query: JSON.stringify([PATH, name ?? null, prefix ?? null, shared]) };
    const after = this.paging.position(query.cursor, scope);
    const page = await this.pageOf(caller, { name, prefix, limit, after, shared });
    return {
      items: [...page.files],
      next_cursor: page.next === undefined ? null : this.paging.cursor(page.next, scope),
    };
  }

  private pageOf(caller: Principal, { name, shared, ...choice }: ListChoice & ListKind): Promise<FilePage> {
    if (shared) return this.sharing.listShared(caller, choice);
    return name === undefined ? this.listing.list(caller, choice) : this.listing.listNamed(caller, name, choice.prefix);
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

/** Names of others' files are under others' keys, so nothing is found among them by name. */
function sharedOnly({ shared, name, prefix }: FileListQueryDto): boolean {
  if (shared !== 'true') return false;
  if (name === undefined && prefix === undefined) return true;
  const fault = { pointer: '/shared', in: 'query', message: 'goes with neither name nor prefix' } as const;
  throw new DomainError('validation_failed', { fields: [fault] });
}
