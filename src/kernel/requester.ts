import { AsyncLocalStorage } from 'node:async_hooks';

/** For whom the process works just now: what is scarce is shared out fairly among them. */
export interface Requester {
  /**
   * The client's address, or the network that counts as one; undefined for a backend that speaks
   * for many.
   */
  readonly address: string | undefined;
  /** The account that is signed in. */
  readonly account: string | undefined;
}

const storage = new AsyncLocalStorage<Requester>();

/** Runs `work`, and all that it starts, for this requester. */
export const runFor = <T>(requester: Requester, work: () => T): T => storage.run(requester, work);

/** Undefined in jobs and tools. */
export const currentRequester = (): Requester | undefined => storage.getStore();
