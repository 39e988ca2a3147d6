import { DomainError, stretched } from '../kernel';

/** What every call of the store answers within (the port says 2 seconds; the rest is for the way back to the caller). */
export const OPERATION_DEADLINE = 1_700;
export const PING_DEADLINE = 900;
/** A close waits this long for the engine; what it has not finished by then was never acknowledged. */
export const CLOSE_DEADLINE = 2_000;

/**
 * Settles as `work` does, or rejects with `store_unavailable` after `ms` (`stretched`). An engine's own timeouts leave gaps (a frozen server that holds
 * its sockets open, a frozen process that holds LMDB's write lock), so this is what the port's promise rests on. `work` goes on
 * unobserved: a write that was given up on may still happen.
 */
export async function withDeadline<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<never>((_resolve, reject) => {
    const refuse = (): void => reject(new DomainError('store_unavailable', { detail: 'The store did not answer.' }));
    // One turn later: where this process itself was busy, the answer may lie unread in the socket, and is read first.
    timer = setTimeout(() => setImmediate(refuse), stretched(ms));
  });
  try {
    return await Promise.race([work, overdue]);
  } finally {
    clearTimeout(timer);
  }
}
