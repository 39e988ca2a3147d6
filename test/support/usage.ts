import { type Config } from '../../src/config';
import { LeasedScheduler } from '../../src/jobs/leased-scheduler';
import { type Clock, SystemClock } from '../../src/kernel';
import { OwnerUsage, RecordUsage } from '../../src/quota';
import { type Store } from '../../src/store';

export interface UsageOptions {
  readonly clock?: Clock;
  readonly userQuota?: number | undefined;
}

/** What counts files and records, as one process of the service has it. */
export function usageParts(store: Store, { clock = new SystemClock(), userQuota }: UsageOptions = {}) {
  const usage = new OwnerUsage(store, { files: { userQuota } } as Config);
  return [usage, new RecordUsage(usage, new LeasedScheduler(store, clock), clock)] as const;
}

export const noQuota = (store: Store): RecordUsage => usageParts(store)[1];
