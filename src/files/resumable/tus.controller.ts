import {
  Controller,
  Delete,
  Head,
  HttpCode,
  HttpStatus,
  Inject,
  Options,
  Param,
  Patch,
  Post,
  Req,
  Res,
} from '@nestjs/common';
import { ApiBearerAuth, ApiHeader, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CONFIG, type Config } from '../../config';
import { AnswerHeaders, Caller, Policy, TUS_HEADERS, TUS_VERSION, methodNotAllowed } from '../../http';
import { DomainError } from '../../kernel';
import type { Principal } from '../../kernel';
import { readBodyReleasing } from '../http/request/body-reader';
import { TusCount, TusPiece, TusRequest } from './tus-headers';
import * as tus from './tus-headers';
import { UploadView, UploadService } from './upload-service';
import { IncomingChunk } from './upload-writer';
const PATH = '/uploads';
/** Of one upload. */
const METHODS = ['DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'POST'];

@ApiTags('Resumable uploads')
@ApiBearerAuth()
@Controller('uploads')
export class UploadsController {
  constructor(
    private readonly uploads: UploadService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** What this server offers of tus 1.0.0. */
  @Options()
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ access: 'public', always: true, errors: 'tus' })
  @AnswerHeaders('Tus-Resumable', 'Tus-Version', 'Tus-Extension', 'Tus-Max-Size', 'Tus-Checksum-Algorithm')
  getUploadOptions(@Res({ passthrough: true }) reply: FastifyReply): void {
    void reply.headers({
      ...TUS_HEADERS,
      'tus-version': TUS_VERSION,
      'tus-extension': tus.EXTENSIONS,
      'tus-max-size': String(this.config.files.maxSize),
      'tus-checksum-algorithm': tus.CHECKSUM_ALGORITHMS,
      allow: 'OPTIONS, POST',
    });
  }

  /**
   * Creates an upload of `Upload-Length` bytes. `Upload-Metadata` has `filename`, and may have
   * `filetype` and `expires_in` (seconds, from the moment the file is there). The share of the
   * quota is taken now. With a body of `application/offset+octet-stream` its first bytes come
   * along. Refusals are lines of text with tus's statuses: 409 a file of that name is there, 413,
   * 507.
   */
  @Post()
  @HttpCode(HttpStatus.CREATED)
  @Policy({ scope: 'files:write', body: 'stream', errors: 'tus', firstWrite: true })
  @TusCount('Upload-Length', 'Bytes that the upload will have', 11)
  @ApiHeader({
    name: 'Upload-Metadata',
    required: true,
    description: 'Pairs of a key and a value in base64, with commas between them; `filename` at least',
    schema: { type: 'string', example: 'filename cmVwb3J0LnBkZg==' },
  })
  @TusPiece({ required: false })
  @TusRequest(409, 413, 415, 423, 460, 507)
  @AnswerHeaders('Tus-Resumable', 'Location', 'Upload-Offset', 'Upload-Expires', 'File-Id')
  async createUpload(
    @Caller() caller: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    requireVersion(request);
    const piece = tus.hasBody(request.headers) ? pieceOf(request, 0) : undefined;
    const upload = await this.uploads.create(caller, tus.parseCreation(request.headers), piece);
    answer(reply, upload);
    void reply.header('location', `${PATH}/${upload.id}`);
  }

  /**
   * How far an upload is: `Upload-Offset`. While the file is being made of what came, that is one
   * byte before the end.
   */
  @Head(':id')
  @Policy({ scope: 'files:write', errors: 'tus' })
  @TusRequest(404, 410)
  @AnswerHeaders('Tus-Resumable', 'Upload-Offset', 'Upload-Length', 'Upload-Metadata', 'Upload-Expires', 'File-Id')
  async getUploadOffset(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    requireVersion(request);
    const upload = await this.uploads.look(caller, id);
    answer(reply, upload);
    void reply.header('upload-length', String(upload.length));
    if (upload.metadata !== '') void reply.header('upload-metadata', upload.metadata);
  }

  /**
   * Brings bytes from `Upload-Offset` on. What came before a connection broke counts; with
   * `Upload-Checksum` only what verifies does (460). 409 where the offset is another one, 423 while
   * another request writes. The last piece is answered when the file is there, with its id in
   * `File-Id`; 503 with Retry-After where that takes more than a minute: send the same again.
   */
  @Patch(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:write', body: 'stream', errors: 'tus' })
  @TusCount('Upload-Offset', 'Bytes that are there already', 0)
  @TusPiece({ required: true })
  @TusRequest(404, 409, 410, 413, 415, 423, 460, 507)
  @AnswerHeaders('Tus-Resumable', 'Upload-Offset', 'Upload-Expires', 'File-Id')
  async appendToUpload(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    requireVersion(request);
    const piece = pieceOf(request, tus.parseOffset(request.headers));
    answer(reply, await this.uploads.append(caller, id, piece));
  }

  /** Ends an upload and removes what came of it. A file that it became stays. */
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:write', errors: 'tus' })
  @TusRequest(404, 410, 423)
  @AnswerHeaders('Tus-Resumable')
  async terminateUpload(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    requireVersion(request);
    await this.uploads.terminate(caller, id);
    void reply.headers(TUS_HEADERS);
  }

  /** PATCH or DELETE for clients that can send neither, by `X-HTTP-Method-Override`. */
  @Post(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'files:write', body: 'stream', errors: 'tus' })
  @ApiHeader({
    name: 'X-HTTP-Method-Override',
    required: true,
    description: 'The method that is meant',
    schema: { type: 'string', enum: ['PATCH', 'DELETE'], example: 'DELETE' },
  })
  @ApiHeader({ name: 'Upload-Offset', required: false, description: 'As for PATCH' })
  @TusPiece({ required: false })
  @TusRequest(404, 405, 409, 410, 413, 415, 423, 460, 507)
  @AnswerHeaders('Tus-Resumable', 'Upload-Offset', 'Upload-Expires', 'File-Id')
  async overrideUploadMethod(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const method = request.headers['x-http-method-override'];
    if (method === 'PATCH') return this.appendToUpload(caller, id, request, reply);
    if (method === 'DELETE') return this.terminateUpload(caller, id, request, reply);
    throw methodNotAllowed(METHODS, { detail: 'POST needs the header X-HTTP-Method-Override here.' });
  }
}

/** tus 1.0.0, "Headers", Tus-Resumable. */
function requireVersion({ headers }: FastifyRequest): void {
  if (headers['tus-resumable'] === TUS_VERSION) return;
  throw new DomainError('precondition_failed', { detail: `Send Tus-Resumable: ${TUS_VERSION}.` });
}

function pieceOf({ headers, raw }: FastifyRequest, offset: number): IncomingChunk {
  if (tus.mediaTypeOf(headers) !== tus.OFFSET_MEDIA_TYPE) {
    throw new DomainError('unsupported_media_type', { detail: `Send the bytes as ${tus.OFFSET_MEDIA_TYPE}.` });
  }
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new DomainError('unsupported_media_type', { detail: 'Send the body without a content encoding.' });
  }
  return {
    offset,
    body: readBodyReleasing(raw),
    contentLength: tus.contentLength(headers),
    checksum: tus.parseChecksum(headers),
    interrupt: () => void raw.destroy(),
  };
}

function answer(reply: FastifyReply, upload: UploadView): void {
  void reply.headers({
    ...TUS_HEADERS,
    'upload-offset': String(upload.offset),
    ...(upload.expiresAt !== undefined && { 'upload-expires': new Date(upload.expiresAt).toUTCString() }),
    ...(upload.fileId !== undefined && { 'file-id': upload.fileId }),
  });
}
