import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, CallerPerson, DEFAULT_LIMIT, Paging, Policy } from '../../../http';
import { AuditSink, audited } from '../../../kernel';
import type { AuditAction, Person } from '../../../kernel';
import { ScrubDto, ScrubListDto, ScrubListQueryDto, scrubDto } from './scrub.dto';
import type { Scrub } from './scrub.service';
import { Scrubs } from './scrub.service';

@ApiTags('Files')
@ApiBearerAuth()
@Controller('scrubs')
export class ScrubsController {
  constructor(
    private readonly scrubs: Scrubs,
    private readonly paging: Paging,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Starts a scrub, which reads and verifies every stored file at a bounded rate in the background.
   * One at a time; 409 with `scrub_id` while one is under way or paused.
   */
  @Post()
  @HttpCode(200)
  @Policy({ scope: 'administration', costly: 'read-through' })
  @ApiProblems('conflict')
  async startScrub(@CallerPerson() caller: Person): Promise<ScrubDto> {
    const intent = { action: 'scrub.start', actor: caller.actor, resource: 'files' } as const;
    return scrubDto(await audited(this.audit, intent, () => this.scrubs.start(caller.actor)));
  }

  /** All scrubs, newest first. */
  @Get()
  @Policy({ scope: 'administration' })
  @ApiProblems('invalid_cursor')
  async listScrubs(@CallerPerson() caller: Person, @Query() query: ScrubListQueryDto): Promise<ScrubListDto> {
    const scope = { holderId: caller.ownerId, query: '/scrubs' };
    const after = this.paging.position(query.cursor, scope);
    const page = await this.scrubs.list({ limit: query.limit ?? DEFAULT_LIMIT, ...(after !== undefined && { after }) });
    return {
      items: page.items.map(scrubDto),
      next_cursor: page.next === undefined ? null : this.paging.cursor(page.next, scope),
    };
  }

  /** One scrub, with its progress and findings. */
  @Get(':id')
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found')
  async getScrub(@Param('id') id: string): Promise<ScrubDto> {
    return scrubDto(await this.scrubs.find(id));
  }

  /** Pauses a scrub before its next read. No other scrub can start until it has ended. */
  @Post(':id/pause')
  @HttpCode(200)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found', 'conflict')
  pauseScrub(@Param('id') id: string, @CallerPerson() caller: Person): Promise<ScrubDto> {
    return this.#moved('scrub.pause', id, caller, () => this.scrubs.pause(id));
  }

  /** Resumes a paused scrub. The file that it was reading is read again from its beginning. */
  @Post(':id/resume')
  @HttpCode(200)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found', 'conflict')
  resumeScrub(@Param('id') id: string, @CallerPerson() caller: Person): Promise<ScrubDto> {
    return this.#moved('scrub.resume', id, caller, () => this.scrubs.resume(id));
  }

  async #moved(action: AuditAction, id: string, caller: Person, move: () => Promise<Scrub>): Promise<ScrubDto> {
    const intent = { action, actor: caller.actor, resource: `scrub/${id}` };
    return scrubDto(await audited(this.audit, intent, move));
  }
}
