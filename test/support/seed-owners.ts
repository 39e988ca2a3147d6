import { newKey } from '../../src/crypto';
import { type MasterKey, type MasterKeyRow, MAX_BATCH } from '../../src/keys/master-key';
import { pendingRow } from '../../src/keys/user-keys/user-key-service';
import { storedRow, type UserKeyDoc, userKeysCollection } from '../../src/keys/user-keys/user-keys.collection';
import type { WrapStore } from '../../src/keys/user-keys/wrap-store/wrap-store';
import { userKeyContext } from '../../src/keys/user-keys/wraps';
import type { Draft, Store } from '../../src/store';

export interface SeedParts {
  readonly store: Store;
  readonly masterKey: MasterKey;
  readonly row: MasterKeyRow;
  readonly home: WrapStore;
}

/** Writes under way at once: more would wait for a connection for longer than a write may take. */
const AT_ONCE = 32;

/**
 * Owners with real wraps and real seals, straight into the store and in batches: as if each had
 * been registered, without a password to be hashed and without the steps between which a
 * registration could die. Their names are their ids.
 */
export async function seedOwners(parts: SeedParts, ids: readonly string[]): Promise<void> {
  const { current, epoch } = await parts.row.read();
  const isInVault = (await parts.home.location()) === 'vault';
  for (let start = 0; start < ids.length; start += MAX_BATCH) {
    const batch = ids.slice(start, start + MAX_BATCH);
    await storeRows(parts, await wrappedRows(parts.masterKey, { current, epoch, isInVault }, batch));
  }
}

async function wrappedRows(
  masterKey: MasterKey,
  { current, epoch, isInVault }: { readonly current: number; readonly epoch: number; readonly isInVault: boolean },
  ids: readonly string[],
): Promise<Draft<UserKeyDoc>[]> {
  const keys = ids.map(() => newKey());
  const wraps = await masterKey.wrap(
    current,
    ids.map((id, at) => ({ key: keys[at]!, context: userKeyContext(id, 1) })),
  );
  const rows = ids.map((id, at) => {
    const { ciphertext: wrapped, masterVersion: master_version } = wraps[at]!;
    const now = Date.now();
    const place = isInVault ? { key_id: `${id}-1` } : {};
    const version = { version: 1, wrapped, master_version, ...place, created_at: now };
    const row = { _id: id, ...(isInVault && { name: id }), master_epoch: epoch, created_at: now };
    return { ...pendingRow(row, version, keys[at]!), state: 'active' as const };
  });
  for (const key of keys) key.destroy();
  return rows;
}

async function storeRows({ store, home }: SeedParts, rows: readonly Draft<UserKeyDoc>[]): Promise<void> {
  const users = store.collection(userKeysCollection);
  for (let start = 0; start < rows.length; start += AT_ONCE) {
    const part = rows.slice(start, start + AT_ONCE);
    await Promise.all(part.map((row) => home.put(row, true)));
    await Promise.all(part.map((row) => users.insert(storedRow(row))));
  }
}
