import { setTimeout as sleep } from 'node:timers/promises';
import { isDomainError } from '../../src/kernel';

/** What HTTP answers with 503. */
export const isOutage = (error: unknown): boolean =>
  isDomainError(error, 'kms_unavailable', 'store_unavailable', 'audit_unavailable');

const PATIENCE = 60_000;

/**
 * As somebody who is told 503 and asks again: for what a test itself asks on a machine that is too
 * busy for every answer to be in time.
 */
export async function throughOutages<T>(act: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!isOutage(error) || Date.now() > deadline) throw error;
    }
    await sleep(250);
  }
}
