import { Controller, Get, HttpCode, Param, Post, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { answerApproval, ApprovalAnswerDto } from '../approvals';
import { ApiProblems, CallerPerson, Policy } from '../http';
import { AuditSink, audited } from '../kernel';
import type { Person } from '../kernel';
import { KeyOverview, RotationService } from '../keys/rotation';
import { rotationDto } from './key-administration.dto';
import { KeysDto, MasterKeyDto, RotateKeyAnswerDto, keysDto } from './keys.dto';
import { VersionRetirement } from './version-retirement';

@ApiTags('Keys')
@ApiBearerAuth()
@Controller()
export class KeysController {
  constructor(
    private readonly overview: KeyOverview,
    private readonly rotations: RotationService,
    private readonly retirement: VersionRetirement,
    private readonly audit: AuditSink,
  ) {}

  /** The master key's home and versions, and the versions of the caller's own key. Never a key. */
  @Get('keys')
  @Policy({ scope: 'account' })
  @ApiProblems('kms_unavailable')
  async getKeys(@CallerPerson() caller: Person): Promise<KeysDto> {
    const [master, own] = await Promise.all([this.overview.masterKeyNow(), this.overview.ownKey(caller.ownerId)]);
    return keysDto(master, own);
  }

  /**
   * Rotates the caller's own key: everything new is sealed under a new version at once, file keys,
   * records, names and secrets are sealed again in the background, and the former version ends when
   * nothing needs it. All data stays readable meanwhile. Once in 10 minutes.
   */
  @Post('keys/rotate')
  @HttpCode(200)
  @Policy({ scope: 'account', idempotent: 'replay', costly: 'rotations' })
  @ApiProblems('rotation_running', 'conflict', 'rate_limited', 'kms_unavailable')
  rotateOwnKey(@CallerPerson() caller: Person): Promise<RotateKeyAnswerDto> {
    return this.#rotate(caller.ownerId, caller);
  }

  /**
   * Rotates a user's key on suspicion, as the user could. It shows nobody any of the user's data.
   */
  @Post('users/:id/rotate-key')
  @HttpCode(200)
  @Policy({ scope: 'administration', idempotent: 'replay', costly: 'rotations' })
  @ApiProblems('not_found', 'rotation_running', 'conflict', 'kms_unavailable')
  rotateUserKey(@Param('id') id: string, @CallerPerson() caller: Person): Promise<RotateKeyAnswerDto> {
    return this.#rotate(id, caller);
  }

  /**
   * Ends a master key version and every earlier one, where nothing is wrapped by them: quarantine
   * and rows that are being written count. Every key row is read before, so with many keys the
   * answer is late; 422 names rows that leave a doubt, and nothing has ended then. With the local
   * keyring and the KV document the versions are gone then; with Transit they are disabled, which
   * an operator of Vault can undo until the key is trimmed. Backups of the store from before the
   * last rotation do not open afterwards. With TWO_PERSON=true nothing happens until a second
   * administrator approves it: 202 with the approval.
   */
  @Post('keys/versions/:version/retire')
  @HttpCode(200)
  @Policy({ scope: 'administration', stepUp: true })
  @ApiOkResponse({ type: MasterKeyDto })
  @ApiAcceptedResponse({
    type: ApprovalAnswerDto,
    description: 'TWO_PERSON=true: what now waits for a second administrator',
    headers: { Location: { description: 'The address of the approval', schema: { type: 'string' } } },
  })
  @ApiProblems('step_up_required', 'not_found', 'version_in_use', 'conflict', 'integrity_failed', 'kms_unavailable')
  async retireMasterKeyVersion(
    @Param('version') version: string,
    @CallerPerson() caller: Person,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<MasterKeyDto | ApprovalAnswerDto> {
    const outcome = await this.retirement.request(caller, version);
    return 'asked' in outcome ? answerApproval(reply, outcome.asked) : outcome;
  }

  async #rotate(ownerId: string, caller: Person): Promise<RotateKeyAnswerDto> {
    const intent = { action: 'user-key.rotate', actor: caller.actor, resource: `user/${ownerId}` } as const;
    const rotation = await audited(this.audit, intent, () => this.rotations.rotateUserKey(ownerId, caller.actor));
    return { message: 'Key rotated successfully', rotation: rotationDto(rotation) };
  }
}
