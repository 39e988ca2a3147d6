import { Injectable, OnModuleInit } from '@nestjs/common';
import {
  type ApprovalDoc,
  type ApprovableAction,
  ApprovableActions,
  type ApprovedRequest,
  DualControl,
} from '../approvals';
import { AuditSink, audited, DomainError, isDomainError, Person } from '../kernel';
import { KeyOverview, Retirement } from '../keys/rotation';
import { MasterKeyDto, masterKeyDto } from './keys.dto';

const ACTION = 'master-key.retire';
const RESOURCE = /^master-key\/([1-9]\d{0,8})$/;

/**
 * Retiring a master key version: at once by one administrator, or with TWO_PERSON when a second one
 * approves it.
 */
@Injectable()
export class VersionRetirement implements ApprovableAction, OnModuleInit {
  constructor(
    private readonly retirement: Retirement,
    private readonly overview: KeyOverview,
    private readonly acts: ApprovableActions,
    private readonly twoPerson: DualControl,
    private readonly audit: AuditSink,
  ) {}

  onModuleInit(): void {
    this.acts.register(ACTION, this);
  }

  /**
   * The master key afterwards, or the approval that the retire waits for.
   * @throws DomainError as Retirement.
   */
  async request(caller: Person, version: string): Promise<MasterKeyDto | { readonly asked: ApprovalDoc }> {
    const resource = `master-key/${version}`;
    const number = versionIn(resource);
    const asked = await this.twoPerson.request(caller, ACTION, resource);
    if (asked !== undefined) return { asked };
    const intent = { action: 'master-key.retire', actor: caller.actor, resource } as const;
    await audited(this.audit, intent, () => this.retirement.retire(number));
    return masterKeyDto(await this.overview.masterKeyNow());
  }

  check(resource: string): Promise<void> {
    return this.retirement.requireRetirable(versionIn(resource));
  }

  async run({ id, resource, requestedBy, approvedBy }: ApprovedRequest): Promise<MasterKeyDto> {
    const details = { approval: id, requested_by: requestedBy };
    const intent = { action: 'master-key.retire', actor: approvedBy, resource, details } as const;
    await audited(this.audit, intent, () => this.#retire(versionIn(resource)));
    return masterKeyDto(await this.overview.masterKeyNow());
  }

  /**
   * It was there when it was approved. Where it is gone, a process that died has done this already.
   */
  async #retire(version: number): Promise<void> {
    try {
      await this.retirement.retire(version);
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error;
    }
  }
}

/** @throws DomainError `not_found` for what is no version. */
function versionIn(resource: string): number {
  const [, version] = RESOURCE.exec(resource) ?? [];
  if (version === undefined) throw new DomainError('not_found');
  return Number(version);
}
