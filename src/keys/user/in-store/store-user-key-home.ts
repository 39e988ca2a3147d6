import type { Draft } from '../../../store';
import { accepted, type ItemResult } from '../../master';
import { UserKeyHome } from '../user-key-home';
import type { UserKeyDoc, UserKeyVersion } from '../user-keys.collection';

/** The wraps stand in the rows themselves: there is nothing to do beside storing those. */
export class StoreUserKeyHome extends UserKeyHome {
  readonly kind = 'store' as const;

  open(): Promise<void> {
    return Promise.resolve();
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  stored<T extends Draft<UserKeyDoc>>({ name: _, ...row }: T): T {
    return { ...row, versions: row.versions.map(withoutKeyId) } as unknown as T;
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

const withoutKeyId = ({ key_id: _, ...entry }: UserKeyVersion): UserKeyVersion => entry;
