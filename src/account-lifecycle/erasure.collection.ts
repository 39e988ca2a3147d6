import { FormerWraps } from '../keys/user-keys';
import { Doc, defineCollection, plain } from '../store';
import { UserDoc } from '../users';

/**
 * `claimed`: requested but not decided; after a minute, any process may restore the account.
 * `withdrawn`: the account is being restored. `erasing`: decided, irreversible. `erased`: finished.
 * The row stays, because the tier can be queried years later.
 */
export type ErasureState = 'claimed' | 'withdrawn' | 'erasing' | 'erased';

/**
 * One erasure; `_id` is the id of the account. Holds ids, times and numbers, and no personal data.
 */
export interface ErasureDoc extends Doc {
  readonly state: ErasureState;
  /** The state that a withdrawal restores. */
  readonly former_state: UserDoc['state'];
  readonly requested_by: 'owner' | 'administrator' | 'service-account';
  readonly requested_at: number;
  /**
   * True if a process died during the erasure: rows that it removed last may be missing from the
   * counts.
   */
  readonly resumed: boolean;
  /** Number of erased rows, by module. */
  readonly counts: Readonly<Record<string, number>>;
  /** Master key versions that may have wrapped the user key; set once the key is destroyed. */
  readonly wraps?: FormerWraps;
  readonly finished_at?: number;
}

export const erasuresCollection = defineCollection<ErasureDoc>({
  name: 'erasures',
  fields: {
    state: plain.string,
    former_state: plain.string,
    requested_by: plain.string,
    requested_at: plain.time,
    resumed: plain.boolean,
    counts: plain.json,
    wraps: plain.json,
    finished_at: plain.time,
  },
  indexes: { state: { fields: ['state', 'requested_at'] } },
  reusesIds: true,
  tampered: 'refuse',
});
