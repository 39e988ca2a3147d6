import { newKey } from '../../src/crypto';
import { type MasterKey, MasterKeyRow, wrapContext } from '../../src/keys/master-key';
import { userKeysCollection } from '../../src/keys/user-keys';
import { type Store, update } from '../../src/store';

export interface KeyParts {
  readonly store: Store;
  readonly masterKey: MasterKey;
}

/** A second version of an owner's key, as a rotation of that key makes it. */
export async function addUserKeyVersion({ store, masterKey }: KeyParts, ownerId: string): Promise<void> {
  const { current: master_version } = await new MasterKeyRow(store).read();
  await update(store.collection(userKeysCollection), ownerId, async (row) => {
    const version = row.current + 1;
    const item = { key: newKey(), context: wrapContext('user-key', ownerId, version) };
    const [wrapped] = await masterKey.wrap(master_version, [item]);
    const entry = { version, wrapped: wrapped!.ciphertext, master_version, created_at: Date.now() };
    return { ...row, current: version, epoch: row.epoch + 1, versions: [...row.versions, entry] };
  });
}
