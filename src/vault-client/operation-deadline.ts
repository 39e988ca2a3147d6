import { AsyncLocalStorage } from 'node:async_hooks';
import { stretched } from '../kernel';

/**
 * How long one use of a key backend may take, whatever number of requests it makes: of the port's 2 seconds the rest is for what stands around
 * it, a password hash above all.
 */
export const OPERATION_MS = 1_200;

const deadlines = new AsyncLocalStorage<number>();

/** Runs `work` under one deadline: that of the operation around it, or one of its own. Nothing that outlives it may be started within. */
export const asOneOperation = <T>(work: () => Promise<T>): Promise<T> =>
  deadlines.getStore() === undefined ? asNewOperation(work) : work();

/** Whether somebody waits for an answer by a deadline that work done now is a part of. */
export const isWithinOperation = (): boolean => deadlines.getStore() !== undefined;

/** ms of the monotonic clock. */
export const newDeadline = (): number => performance.now() + stretched(OPERATION_MS);

const asNewOperation = <T>(work: () => Promise<T>): Promise<T> => deadlines.run(newDeadline(), work);

/**
 * `attempt`, again from the start while it gives undefined, as `repeat` does it. The first one is part of the operation around it; where another
 * writer came before it Vault has just answered, so each later one has a time of its own: many writers are no outage.
 */
export function inAttempts<T>(
  repeat: (attempt: () => Promise<T | undefined>) => Promise<T>,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  let isFirst = true;
  return repeat(() => {
    const run = isFirst ? asOneOperation<T | undefined> : asNewOperation<T | undefined>;
    isFirst = false;
    return run(attempt);
  });
}

/** ms of the monotonic clock: by when a request that is made now has to be answered. */
export const operationDeadline = (): number => deadlines.getStore() ?? newDeadline();
