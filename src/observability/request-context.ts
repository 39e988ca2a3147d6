import { AsyncLocalStorage } from 'node:async_hooks';

/** Request data that log and audit lines use without passing it through every call. */
export interface RequestContext {
  readonly requestId: string;
  /** The client's address, in its storable form. */
  readonly address?: string;
  /** The account that the request acts for, or tries to act for. */
  userId?: string;
  /** The service account that acts for that account. */
  act?: string;
}

const storage = new AsyncLocalStorage<RequestContext>();

let entered = 0;

/** Runs `work`, and everything that it starts, in the context of the request. */
export function runInRequest<T>(context: RequestContext, work: () => T): T {
  entered += 1;
  return storage.run(context, work);
}

/** A counter of requests of this process. Background work that sees it rise yields to them. */
export const requestActivity = (): number => entered;

/** The current request; undefined in jobs and at start-up. */
export const currentRequest = (): Readonly<RequestContext> | undefined => storage.getStore();

/** Records the account of the request for its log line. Ignores anonymous and system actors. */
export function nameActor(actor: string): void {
  const request = storage.getStore();
  if (request !== undefined && actor !== 'anonymous' && !actor.startsWith('system:')) request.userId ??= actor;
}

/** Notes which service account acts, for the audit entries of the request. */
export function nameAct(act: string): void {
  const request = storage.getStore();
  if (request !== undefined) request.act = act;
}

/** The id of the current request; undefined in jobs and at start-up. */
export const currentRequestId = (): string | undefined => storage.getStore()?.requestId;
