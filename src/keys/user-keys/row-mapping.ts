import type { Draft, WrapLocation } from '../../store';
import type { UserKeyDoc, UserKeyVersion } from './user-keys.collection';

/**
 * A row says by itself where its wraps lie. Without a name: in the row. With one: in Vault, under it. With one and `moving`: in the row, and
 * there may be a document in Vault as well.
 */
export const isInVault = ({ name, moving }: Pick<UserKeyDoc, 'name' | 'moving'>): boolean =>
  name !== undefined && moving === undefined;

/** What the store keeps of a complete row. */
export function storedRow<T extends Draft<UserKeyDoc>>(row: T): T {
  if (row.moving !== undefined) return row;
  const form = isInVault(row) ? withoutWrap : withoutKeyId;
  return { ...row, versions: row.versions.map(form) };
}

const withoutWrap = (entry: UserKeyVersion): UserKeyVersion => ({ ...entry, wrapped: '' });
const withoutKeyId = ({ key_id: _, ...entry }: UserKeyVersion): UserKeyVersion => entry;

/** Where a key's wraps have lain: what backups of that place may hold. */
export function tracesOf({ name, kept_in }: Pick<UserKeyDoc, 'name' | 'kept_in'>): WrapLocation | 'both' {
  return kept_in ?? (name === undefined ? 'store' : 'vault');
}
