import { DomainError, stretched } from '../kernel';

/**
 * Deadline of every store operation. The contract is 2 seconds; the rest is for the way back to the
 * caller.
 */
export const OPERATION_DEADLINE = 1_700;
export const PING_DEADLINE = 900;
/** Time that a close gives the engine; writes unfinished by then were never acknowledged. */
export const CLOSE_DEADLINE = 2_000;

/**
 * Settles as `work` does, or rejects with `store_unavailable` after `ms` (`stretched`).
 * The timeouts of the engines have gaps (a frozen server with open sockets, a frozen process that
 * holds LMDB's write lock), so the contract depends on this deadline. `work` continues unobserved:
 * a write may still happen after its deadline.
 */
export async function withDeadline<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<never>((_resolve, reject) => {
    const refuse = (): void => reject(new DomainError('store_unavailable', { detail: 'The store did not answer.' }));
    // One turn later: if this process itself was busy, the response may be unread in the socket,
    // and is read first.
    timer = setTimeout(() => setImmediate(refuse), stretched(ms));
  });
  try {
    return await Promise.race([work, overdue]);
  } finally {
    clearTimeout(timer);
  }
}
