import type { UserKeyPlace } from '../../src/store';
import { accepted, type ItemResult } from '../../src/keys/master';
import { UserKeyHome } from '../../src/keys/user';
import type { UserKeyDoc } from '../../src/keys/user';

/** The wraps stand in the rows themselves, as with USER_KEY_STORE=store: for parts that have no installation document. */
export class StoreUserKeyHome extends UserKeyHome {
  open(): Promise<void> {
    return Promise.resolve();
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  place(): Promise<UserKeyPlace> {
    return Promise.resolve('store');
  }

  settled(): Promise<boolean> {
    return Promise.resolve(true);
  }

  load(rows: readonly UserKeyDoc[]): Promise<ItemResult<UserKeyDoc>[]> {
    return Promise.resolve(rows.map(accepted));
  }

  keep(): Promise<void> {
    return Promise.resolve();
  }

  strays(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  erase(): Promise<void> {
    return Promise.resolve();
  }
}
