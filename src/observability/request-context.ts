import { AsyncLocalStorage } from 'node:async_hooks';

/** What every line that a request causes (log, audit) can name without it being passed down. */
export interface RequestContext {
  readonly requestId: string;
  /** The client's address, in the form in which it may be kept. */
  readonly address?: string;
  /** The account that the request acts for, or tries to. */
  userId?: string;
}

const storage = new AsyncLocalStorage<RequestContext>();

let entered = 0;

/** Runs `work`, and all that it starts, inside the request. */
export function runInRequest<T>(context: RequestContext, work: () => T): T {
  entered += 1;
  return storage.run(context, work);
}

/** Rises whenever a request of this process is worked on: background work that sees it rise gives way. */
export const requestActivity = (): number => entered;

/** The request that is being answered; undefined in jobs and at start. */
export const currentRequest = (): Readonly<RequestContext> | undefined => storage.getStore();

/** Notes whose account the request is about, for the line of the request. Who is nobody, or no person, is passed over. */
export function nameActor(actor: string): void {
  const request = storage.getStore();
  if (request !== undefined && actor !== 'anonymous' && !actor.startsWith('system:')) request.userId ??= actor;
}

/** The id of the request that is being answered; undefined in jobs and at start. */
export const currentRequestId = (): string | undefined => storage.getStore()?.requestId;
