import type { WrapLocation } from '../../src/installation';
import { accepted, type ItemResult } from '../../src/keys/master-key';
import { type UserKeyDoc, WrapStore } from '../../src/keys/user-keys';

/**
 * The wraps stand in the rows themselves, as with USER_KEY_STORE=store: for parts that have no
 * installation document.
 */
export class RowWrapStore extends WrapStore {
  open(): Promise<void> {
    return Promise.resolve();
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  location(): Promise<WrapLocation> {
    return Promise.resolve('store');
  }

  isSettled(): Promise<boolean> {
    return Promise.resolve(true);
  }

  get(rows: readonly UserKeyDoc[]): Promise<ItemResult<UserKeyDoc>[]> {
    return Promise.resolve(rows.map(accepted));
  }

  put(): Promise<void> {
    return Promise.resolve();
  }

  orphans(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  delete(): Promise<void> {
    return Promise.resolve();
  }

  erase(): Promise<void> {
    return Promise.resolve();
  }
}
