import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import {
  ARRAY_LIMIT,
  AnswerHeaders,
  ApiProblems,
  Caller,
  IfMatchHeader,
  Paging,
  Policy,
  etag,
  requireMatch,
} from '../http';
import type { Principal } from '../kernel';
import { RecordView, parseRecord } from './sensitive-data';
import {
  SensitiveDataDeletedDto,
  SensitiveDataDto,
  SensitiveDataListQueryDto,
  SensitiveDataQueryDto,
  WriteSensitiveDataDto,
} from './sensitive-data.dto';
import { RevisionGuard, SensitiveDataService, Versioned } from './sensitive-data.service';

const PATH = '/sensitive-data';

@ApiTags('Sensitive data')
@ApiBearerAuth()
@Controller('sensitive-data')
export class SensitiveDataController {
  constructor(
    private readonly records: SensitiveDataService,
    private readonly paging: Paging,
  ) {}

  /**
   * Encrypts a value under the caller's key and stores it. The response carries an ETag. To retry a
   * lost call, send the same Idempotency-Key.
   */
  @Post()
  @HttpCode(200)
  @Policy({ scope: 'sensitive-data:write', idempotent: 'replay', firstWrite: true })
  @AnswerHeaders('ETag')
  @ApiProblems('invalid_value', 'quota_exceeded')
  async createSensitiveData(
    @Caller() caller: Principal,
    @Body() body: WriteSensitiveDataDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SensitiveDataDto> {
    return tagged(reply, await this.records.create(caller, parseRecord(body.data_type, body.value)));
  }

  /**
   * Lists the caller's records, oldest first. Without `limit`, a page holds up to 1,000 records. A
   * page may hold fewer and still have a next page, which the Link header names. A page ends early
   * once its values take about 4 MiB.
   */
  @Get()
  @Policy({ scope: 'sensitive-data:read' })
  @AnswerHeaders('Link')
  @ApiProblems('invalid_cursor', 'integrity_failed', 'decryption_failed')
  async listSensitiveData(
    @Caller() caller: Principal,
    @Query() query: SensitiveDataListQueryDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SensitiveDataDto[]> {
    const { data_type, view = 'clear', limit } = query;
    const scope = { holderId: caller.ownerId, query: JSON.stringify([PATH, data_type ?? null, view]) };
    const page = await this.records.list(caller, {
      dataType: data_type,
      view,
      limit: limit ?? ARRAY_LIMIT,
      after: this.paging.position(query.cursor, scope),
    });
    if (page.next !== undefined) {
      const cursor = this.paging.cursor(page.next, scope);
      reply.header('link', this.paging.nextLink(PATH, { data_type, view: query.view, limit }, cursor));
    }
    return [...page.records];
  }

  /**
   * Returns one record of the caller. PUT and DELETE accept the ETag of the response as If-Match.
   */
  @Get(':id')
  @Policy({ scope: 'sensitive-data:read' })
  @AnswerHeaders('ETag')
  @ApiProblems('not_found', 'integrity_failed', 'decryption_failed')
  async getSensitiveData(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Query() query: SensitiveDataQueryDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SensitiveDataDto> {
    return tagged(reply, await this.records.get(caller, id, query.view ?? 'clear'));
  }

  /**
   * Replaces the type and the value of a record. With If-Match, only if the record has not changed
   * since.
   */
  @Put(':id')
  @Policy({ scope: 'sensitive-data:write' })
  @IfMatchHeader()
  @AnswerHeaders('ETag')
  @ApiProblems('invalid_value', 'not_found', 'precondition_failed', 'conflict', 'integrity_failed', 'quota_exceeded')
  async replaceSensitiveData(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body() body: WriteSensitiveDataDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SensitiveDataDto> {
    const input = parseRecord(body.data_type, body.value);
    return tagged(reply, await this.records.replace(caller, id, input, matching(ifMatch)));
  }

  /** Deletes a record permanently. With If-Match, only if the record has not changed since. */
  @Delete(':id')
  @Policy({ scope: 'sensitive-data:write' })
  @IfMatchHeader()
  @ApiProblems('not_found', 'precondition_failed', 'conflict', 'integrity_failed')
  async deleteSensitiveData(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<SensitiveDataDeletedDto> {
    await this.records.remove(caller, id, matching(ifMatch));
    return { message: 'Data deleted successfully' };
  }
}

const matching =
  (ifMatch: string | undefined): RevisionGuard =>
  (rev) =>
    requireMatch(ifMatch, etag(rev));

function tagged(reply: FastifyReply, { record, rev }: Versioned): RecordView {
  reply.header('etag', etag(rev));
  return record;
}
