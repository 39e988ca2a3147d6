import { Controller, Get, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, DEFAULT_LIMIT, PageQueryDto, Paging, Policy } from '../http';
import { isoTime } from '../kernel';
import type { Principal } from '../kernel';
import { SubjectPageDto } from './service-accounts.dto';
import { Subjects } from './subjects';

@ApiTags('Subjects')
@ApiBearerAuth()
@Controller('subjects')
export class SubjectsController {
  constructor(
    private readonly subjects: Subjects,
    private readonly paging: Paging,
  ) {}

  /**
   * The service account's subjects, oldest first. A page may hold fewer than `limit` and still have
   * a next one.
   */
  @Get()
  @Policy({ scope: 'subjects:list' })
  @ApiProblems('insufficient_scope', 'invalid_cursor')
  async listSubjects(
    @Caller() caller: Principal,
    @Query() { limit = DEFAULT_LIMIT, cursor }: PageQueryDto,
  ): Promise<SubjectPageDto> {
    const scope = { holderId: caller.ownerId, query: '/subjects' };
    const { items, next } = await this.subjects.list(caller.ownerId, limit, this.paging.position(cursor, scope));
    return {
      items: items.map(({ externalId, createdAt }) => ({ external_id: externalId, created_at: isoTime(createdAt) })),
      next_cursor: next === undefined ? null : this.paging.cursor(next, scope),
    };
  }
}
