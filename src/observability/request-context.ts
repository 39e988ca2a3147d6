import { AsyncLocalStorage } from 'node:async_hooks';

/** What every line that a request causes (log, audit) can name without it being passed down. */
export interface RequestContext {
  readonly requestId: string;
}

const storage = new AsyncLocalStorage<RequestContext>();

/** Runs `work`, and all that it starts, inside the request. */
export const runInRequest = <T>(context: RequestContext, work: () => T): T => storage.run(context, work);

/** The id of the request that is being answered; undefined in jobs and at start. */
export const currentRequestId = (): string | undefined => storage.getStore()?.requestId;
