import { Controller, Delete, Get, Param, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BlobStore } from '../src/blobs';
import { etag, Policy, sendContent } from '../src/http';
import { newId } from '../src/kernel';

const CONSTANT = { id: '0193e5a0-0000-7000-8000-000000000000', data_type: 'card_number', value: '4929123456781234' };

/**
 * The other side of every ratio: the same process, server, guard and blob store, without
 * encryption, seals and audit. It is compiled with the benches only; the build of the service does
 * not know this folder.
 */
@ApiExcludeController()
@Controller('bench')
export class BaselineController {
  constructor(private readonly blobs: BlobStore) {}

  /** What GET /sensitive-data/{id} would answer if nothing had to be looked up or opened. */
  @Get('constant')
  @Policy({ scope: 'files:write' })
  constant(): typeof CONSTANT {
    return CONSTANT;
  }

  /**
   * What POST /files would do if it kept the bytes as they come: same stream, same disk, same
   * fsync.
   */
  @Post('plain')
  @Policy({ scope: 'files:write', body: 'stream' })
  async put(@Req() request: FastifyRequest): Promise<{ id: string }> {
    const id = newId();
    await this.blobs.put(id, request.raw);
    return { id };
  }

  @Get('plain/:id')
  @Policy({ scope: 'files:write' })
  async get(@Param('id') id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await sendContent(request, reply, {
      etag: etag(1),
      modifiedAt: 0,
      size: (await this.blobs.size(id)) ?? 0,
      describe: () => Promise.resolve({ contentType: 'application/octet-stream', fileName: id }),
      open: (range) => this.blobs.get(id, range),
    });
  }

  @Delete('plain/:id')
  @Policy({ scope: 'files:write' })
  remove(@Param('id') id: string): Promise<void> {
    return this.blobs.remove(id);
  }
}
