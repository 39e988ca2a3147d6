import { PageQueryDto } from '../http';
import type { ApprovalState } from './approval.collection';

export class ApprovalDto {
  /**
   * Opaque id of the approval.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * Name of the action in the audit log: `master-key.retire` or `account.erase`.
   * @example "master-key.retire"
   */
  action!: string;

  /**
   * Target of the action.
   * @example "master-key/1"
   */
  resource!: string;

  /**
   * Id of the administrator who requested the action.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e50"
   */
  requested_by!: string;

  /**
   * Time of the request, ISO 8601 in UTC.
   * @example "2026-11-22T09:30:00.000Z"
   */
  requested_at!: string;

  /**
   * End of the time in which the request can be approved, ISO 8601 in UTC.
   * @example "2026-11-23T09:30:00.000Z"
   */
  expires_at!: string;

  /**
   * `pending`; `approved`: the action is running; `done`; `refused`: the action failed after the
   * approval; `rejected`; `withdrawn`; `expired`.
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

  /** Cursor of the next page; null on the last page. */
  next_cursor!: string | null;
}

export class ApprovalListQueryDto extends PageQueryDto {}
