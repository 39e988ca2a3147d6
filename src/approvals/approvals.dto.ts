import { PageQueryDto } from '../http';
import type { ApprovalState } from './approval.collection';

export class ApprovalDto {
  /**
   * Opaque id of the approval.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * The act, as the audit log calls it: `master-key.retire` or `account.erase`.
   * @example "master-key.retire"
   */
  action!: string;

  /**
   * What it is to be done to.
   * @example "master-key/1"
   */
  resource!: string;

  /**
   * Id of the administrator who asked for it.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e50"
   */
  requested_by!: string;

  /**
   * When it was asked for, ISO 8601 in UTC.
   * @example "2026-11-22T09:30:00.000Z"
   */
  requested_at!: string;

  /**
   * Until when it can be approved, ISO 8601 in UTC.
   * @example "2026-11-23T09:30:00.000Z"
   */
  expires_at!: string;

  /**
   * `pending`; `approved`, being done; `done`; `refused`, where something stood against it after the approval; `rejected`; `withdrawn`;
   * `expired`.
   * @example "pending"
   */
  state!: ApprovalState;
}

export class ApprovalAnswerDto {
  approval!: ApprovalDto;
}

export class ApprovalListDto {
  /** Approvals, newest first. */
  items!: ApprovalDto[];

  /** For the next page; null at the end. */
  next_cursor!: string | null;
}

export class ApprovalListQueryDto extends PageQueryDto {}
