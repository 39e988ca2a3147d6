import type { UserKeyPlace } from '../../../store';
import { accepted, type ItemResult } from '../../master';
import { UserKeyHome } from '../user-key-home';
import type { UserKeyDoc } from '../user-keys.collection';

/** The wraps stand in the rows themselves: there is nothing to do beside storing those. */
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
