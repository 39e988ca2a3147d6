import { FormerWraps } from '../keys/user-keys';
import { Doc, defineCollection } from '../store';
import { UserDoc } from '../users';

/**
 * `claimed`: asked for, and not decided; whoever finds it a minute later gives the account back. `withdrawn`: being given back. `erasing`:
 * decided, goes forward only. `erased`: over. The row stays: which backups still open can be asked years later.
 */
export type ErasureState = 'claimed' | 'withdrawn' | 'erasing' | 'erased';

/** One erase of an account, `_id` its id. Holds ids, times and numbers: nothing of the person. */
export interface ErasureDoc extends Doc {
  readonly state: ErasureState;
  /** What a withdrawal sets the account back to. */
  readonly former_state: UserDoc['state'];
  readonly requested_by: 'owner' | 'administrator';
  readonly requested_at: number;
  /** A process died on the way: what it removed last may be missing from the counts. */
  readonly resumed: boolean;
  /** Rows that went, by module. */
  readonly counts: Readonly<Record<string, number>>;
  /** Which master key versions may have wrapped the key; there once it is destroyed. */
  readonly wraps?: FormerWraps;
  readonly finished_at?: number;
}

export const erasuresCollection = defineCollection<ErasureDoc>({
  name: 'erasures',
  fields: {
    state: 'string',
    former_state: 'string',
    requested_by: 'string',
    requested_at: 'time',
    resumed: 'boolean',
    counts: 'json',
    wraps: 'json',
    finished_at: 'time',
  },
  plaintext: ['state', 'former_state', 'requested_by', 'requested_at', 'resumed', 'counts', 'wraps', 'finished_at'],
  indexes: { state: { fields: ['state', 'requested_at'] } },
  reusesIds: true,
  tampered: 'refuse',
});
