import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, CallerPerson, DEFAULT_LIMIT, Paging, Policy } from '../http';
import { AuditSink, audited } from '../kernel';
import type { AuditAction, Person } from '../kernel';
import { RotationService } from '../keys/rotation';
import type { Rotation } from '../keys/rotation';
import {
  RotateMasterKeyAnswerDto,
  RotationDto,
  RotationListDto,
  RotationListQueryDto,
  rotationDto,
} from './key-administration.dto';

@ApiTags('Keys')
@ApiBearerAuth()
@Controller()
export class RotationsController {
  constructor(
    private readonly rotations: RotationService,
    private readonly paging: Paging,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Rotates the master key. The answer comes when everything new is wrapped with the new version;
   * small sets are wrapped again before it (2 seconds at most), larger ones in the background. All
   * data stays readable meanwhile.
   */
  @Post('rotate-master-key')
  @HttpCode(200)
  @Policy({ scope: 'administration', idempotent: 'replay', costly: 'rotations' })
  @ApiProblems('rotation_running', 'conflict', 'integrity_failed', 'kms_unavailable')
  async rotateMasterKey(@CallerPerson() caller: Person): Promise<RotateMasterKeyAnswerDto> {
    const intent = { action: 'master-key.rotate', actor: caller.actor, resource: 'master-key' } as const;
    const rotation = await audited(this.audit, intent, () => this.rotations.rotateMasterKey(caller.actor));
    return { message: 'Master key rotated successfully', rotation: rotationDto(rotation) };
  }

  /** All rotations, newest first. */
  @Get('rotations')
  @Policy({ scope: 'administration' })
  @ApiProblems('invalid_cursor')
  async listRotations(@CallerPerson() caller: Person, @Query() query: RotationListQueryDto): Promise<RotationListDto> {
    const scope = { holderId: caller.ownerId, query: '/rotations' };
    const after = this.paging.position(query.cursor, scope);
    const page = await this.rotations.list({
      limit: query.limit ?? DEFAULT_LIMIT,
      ...(after === undefined ? {} : { after }),
    });
    return {
      items: page.items.map(rotationDto),
      next_cursor: page.next === undefined ? null : this.paging.cursor(page.next, scope),
    };
  }

  /** One rotation and how far it is. */
  @Get('rotations/:id')
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found')
  async getRotation(@Param('id') id: string): Promise<RotationDto> {
    return rotationDto(await this.rotations.find(id));
  }

  /**
   * Stops a rotation before its next step. What is wrapped again already stays so; nothing else can
   * be rotated until it goes on.
   */
  @Post('rotations/:id/pause')
  @HttpCode(200)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found', 'conflict')
  pauseRotation(@Param('id') id: string, @CallerPerson() caller: Person): Promise<RotationDto> {
    return this.#moved('rotation.pause', id, caller, () => this.rotations.pause(id));
  }

  /** Lets a paused rotation go on. */
  @Post('rotations/:id/resume')
  @HttpCode(200)
  @Policy({ scope: 'administration' })
  @ApiProblems('not_found', 'conflict')
  resumeRotation(@Param('id') id: string, @CallerPerson() caller: Person): Promise<RotationDto> {
    return this.#moved('rotation.resume', id, caller, () => this.rotations.resume(id));
  }

  async #moved(action: AuditAction, id: string, caller: Person, move: () => Promise<Rotation>): Promise<RotationDto> {
    const intent = { action, actor: caller.actor, resource: `rotation/${id}` };
    return rotationDto(await audited(this.audit, intent, move));
  }
}
