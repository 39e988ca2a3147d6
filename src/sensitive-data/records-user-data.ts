import { Injectable } from '@nestjs/common';
import { UserDataHandler } from '../kernel';
import { EncryptedRows, Sealer } from '../keys/user-keys';
import { Store } from '../store';
import { openValue, sealValue } from './record-cipher';
import { SensitiveDataDoc, sensitiveDataCollection } from './sensitive-data.collection';

/** Re-encrypts, counts and erases a user's records. */
@Injectable()
export class RecordsUserData implements UserDataHandler {
  readonly name = 'sensitive-data';
  readonly collections = [sensitiveDataCollection.name];
  readonly #records: EncryptedRows<SensitiveDataDoc>;

  constructor(store: Store, sealer: Sealer) {
    this.#records = new EncryptedRows(sealer, {
      rows: store.collection(sensitiveDataCollection),
      byVersion: 'owner_version',
      byOwner: 'owner',
      versionOf: (row) => row.key_version,
      envelopesOf: (row) => [row.encrypted_value],
      reencrypt: (keys, row) => ({ ...row, ...sealValue(keys, row._id, openValue(keys, row)) }),
    });
  }

  async reencrypt(userId: string): Promise<number> {
    return (await this.#records.reencrypt(userId)).count;
  }

  countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    return this.#records.countByKeyVersion(userId, versions);
  }

  eraseUser(userId: string): Promise<number> {
    return this.#records.erase(userId);
  }
}
