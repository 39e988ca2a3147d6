import { Injectable } from '@nestjs/common';
import { UserDataHandler } from '../kernel';
import { Sealer, renewRows, valuesUnder } from '../keys/user-keys';
import { Collection, Store, removeEvery } from '../store';
import { openValue, sealValue } from './record-cipher';
import { SensitiveDataDoc, sensitiveDataCollection } from './sensitive-data.collection';

/** What happens to a user's records when the user's key changes or the account goes. */
@Injectable()
export class RecordsUserData implements UserDataHandler {
  readonly name = 'sensitive-data';
  readonly #rows: Collection<SensitiveDataDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
  ) {
    this.#rows = store.collection(sensitiveDataCollection);
  }

  /** Records hold no keys of their own: their values are sealed under the user key itself. */
  rewrap(): Promise<number> {
    return Promise.resolve(0);
  }

  /** Pending rows included. A value that does not open is left as it is. */
  async reencrypt(userId: string): Promise<number> {
    const { count } = await renewRows(this.sealer, userId, {
      rows: this.#rows,
      index: 'owner_version',
      versionOf: (row) => row.key_version,
      renew: (keys, row) => ({ ...row, ...sealValue(keys, row._id, openValue(keys, row)) }),
    });
    return count;
  }

  countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    return valuesUnder(userId, versions, {
      rows: this.#rows,
      index: 'owner_version',
      versionsOf: (row) => [row.key_version],
      envelopesOf: (row) => [row.encrypted_value],
    });
  }

  eraseUser(userId: string): Promise<number> {
    return removeEvery(this.#rows, 'owner', [userId]);
  }
}
