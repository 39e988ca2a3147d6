import { newKey, sealRecord } from '../../crypto';
import { plaintext, SecretBytes } from '../../kernel';
import type { Draft } from '../../store';
import { nameKeyContext, subkeyOf } from './user-key-handle';
import type { UserKeyDoc, UserKeyVersion } from './user-keys.collection';

export const FIRST_VERSION = 1;

export type NewRow = Pick<UserKeyDoc, '_id' | 'master_epoch' | 'created_at'> & { readonly name?: string };

/** The row of a new owner, not visible yet, with a name key of its own. */
export const pendingRow = (row: NewRow, version: UserKeyVersion, key: SecretBytes): Draft<UserKeyDoc> => ({
  ...row,
  state: 'pending',
  current: FIRST_VERSION,
  epoch: 1,
  versions: [version],
  master_version: version.master_version,
  wrapped_name_key: newNameKey(row._id, key),
  quarantined: false,
});

function newNameKey(ownerId: string, key: SecretBytes): string {
  const secrets = subkeyOf(key, 'secrets', ownerId, FIRST_VERSION);
  const nameKey = newKey();
  try {
    return sealRecord(secrets, FIRST_VERSION, nameKeyContext(ownerId), plaintext(nameKey.bytes)).toString('hex');
  } finally {
    nameKey.destroy();
    secrets.destroy();
  }
}
