import { Doc, defineCollection } from '../store';

/**
 * `pending`: waits for a second administrator. `approved`: decided, goes forward only, and whoever finds it goes on with it. `done`. `refused`:
 * approved, and then something stood against the act. `rejected` by another administrator, `withdrawn` by who asked, `expired`.
 */
export type ApprovalState = 'pending' | 'approved' | 'done' | 'refused' | 'rejected' | 'withdrawn' | 'expired';

/** One act that an administrator asked for and another one has to approve. Holds ids and times alone. */
export interface ApprovalDoc extends Doc {
  /** As the act is called in the audit log: `master-key.retire`. */
  readonly action: string;
  /** What it would be done to: `master-key/3`, `user/<id>`. */
  readonly resource: string;
  readonly requested_by: string;
  readonly requested_at: number;
  readonly expires_at: number;
  readonly state: ApprovalState;
  /** While it is pending: act, resource and who asked. Unique, so that a repeated request is the same approval. */
  readonly open?: string;
  /** Who approved, rejected or withdrew it. */
  readonly decided_by?: string;
  readonly decided_at?: number;
  /** The process that does the approved act (jobs/lease-owner.ts). */
  readonly runner?: string;
  /** How often an approved act could not be done for now, and when that was last: each time it waits longer. */
  readonly attempts?: number;
  readonly tried_at?: number;
  /** Code of what stood against an approved act. */
  readonly fault?: string;
  /** When the row goes; the audit log keeps what happened. */
  readonly gone_at: number;
}

export const approvalsCollection = defineCollection<ApprovalDoc>({
  name: 'approvals',
  fields: {
    action: 'string',
    resource: 'string',
    requested_by: 'string',
    requested_at: 'time',
    expires_at: 'time',
    state: 'string',
    open: 'string',
    decided_by: 'string',
    decided_at: 'time',
    runner: 'string',
    attempts: 'number',
    tried_at: 'time',
    fault: 'string',
    gone_at: 'time',
  },
  plaintext: [
    'action',
    'resource',
    'requested_by',
    'requested_at',
    'expires_at',
    'state',
    'open',
    'decided_by',
    'decided_at',
    'runner',
    'attempts',
    'tried_at',
    'fault',
    'gone_at',
  ],
  indexes: { open: { fields: ['open'], unique: true }, state: { fields: ['state'] } },
  expiry: 'gone_at',
  // Who forges a request or a decision gains nothing: it is as if it were not there.
  tampered: 'absent',
});
