import { LockoutKind, Metrics } from '../../observability';
import { BudgetCounts, CounterStore, LOCKOUT_LIMIT, LockoutCounts, SECOND_FACTOR_LIMITS } from '../../users';

/** How to read the effective failures of a count. */
interface Counted<Counts> {
  readonly limit: number;
  readonly failures: (counts: Counts) => number;
}

export const PASSWORDS: Counted<LockoutCounts> = { limit: LOCKOUT_LIMIT, failures: ({ failures }) => failures };
export const CODES: Counted<BudgetCounts> = {
  limit: SECOND_FACTOR_LIMITS.limit,
  failures: ({ failures }) => failures.length,
};

/**
 * Wraps a counter store and reports to the metrics when a change begins a lockout. An edit may run
 * again; its last run is the one that is stored.
 */
export function countingLockouts<Counts>(
  ledger: CounterStore<Counts>,
  { limit, failures }: Counted<Counts>,
  kind: LockoutKind,
  metrics: Metrics | undefined,
): CounterStore<Counts> {
  return {
    change: async (edit) => {
      const last = { began: false };
      await ledger.change((counts) => {
        const changed = edit(counts);
        last.began = changed !== undefined && failures(counts) < limit && failures(changed) >= limit;
        return changed;
      });
      if (last.began) metrics?.refusals.countLockout(kind);
    },
  };
}
