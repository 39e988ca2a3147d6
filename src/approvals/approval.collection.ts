import { Doc, defineCollection, plain } from '../store';

/**
 * `pending`: waits for a second administrator. `approved`: decided; any process may resume it, and
 * it cannot be undone. `done`. `refused`: the action failed for good after the approval. `rejected`
 * by another administrator, `withdrawn` by the requester, `expired`.
 */
export type ApprovalState = 'pending' | 'approved' | 'done' | 'refused' | 'rejected' | 'withdrawn' | 'expired';

/**
 * An action that one administrator requested and another one must approve. Holds only ids and
 * times.
 */
export interface ApprovalDoc extends Doc {
  /** Name of the action in the audit log: `master-key.retire`. */
  readonly action: string;
  /** Target of the action: `master-key/3`, `user/<id>`. */
  readonly resource: string;
  readonly requested_by: string;
  readonly requested_at: number;
  readonly expires_at: number;
  readonly state: ApprovalState;
  /**
   * Action, resource and requester; set while the request is pending. Unique, so that a repeated
   * request returns the same approval.
   */
  readonly open?: string;
  /** The administrator who approved, rejected or withdrew the request. */
  readonly decided_by?: string;
  readonly decided_at?: number;
  /** The process that runs the approved action (jobs/lease-owner.ts). */
  readonly runner?: string;
  /** Number of failed attempts and time of the last one; the retry pause grows with them. */
  readonly attempts?: number;
  readonly tried_at?: number;
  /** Error code with which an approved action failed for good. */
  readonly fault?: string;
  /** Expiry time of the row; the audit log keeps the history. */
  readonly gone_at: number;
}

export const approvalsCollection = defineCollection<ApprovalDoc>({
  name: 'approvals',
  fields: {
    action: plain.string,
    resource: plain.string,
    requested_by: plain.string,
    requested_at: plain.time,
    expires_at: plain.time,
    state: plain.string,
    open: plain.string,
    decided_by: plain.string,
    decided_at: plain.time,
    runner: plain.string,
    attempts: plain.number,
    tried_at: plain.time,
    fault: plain.string,
    gone_at: plain.time,
  },
  indexes: { open: { fields: ['open'], unique: true }, state: { fields: ['state'] } },
  expiry: 'gone_at',
  // A tampered row counts as absent, so a forged request or decision has no effect.
  tampered: 'absent',
});
