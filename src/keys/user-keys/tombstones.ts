import { DomainError } from '../../kernel';
import type { Collection } from '../../store';
import { tracesOf, type UserKeyDoc } from './user-keys.collection';
import type { WrapPathConflict, WrapStore } from './wrap-store/wrap-store';

/** A tombstone without keys. It stays: an owner's id must never get a key again. */
export function erased(row: UserKeyDoc): UserKeyDoc {
  const { master_version: _, quarantine: __, quarantine_target: ___, moving: ____, given_up: _____, ...rest } = row;
  const ended = { versions: [], wrapped_name_key: '', quarantined: false, kept_in: tracesOf(row) };
  return { ...rest, ...ended, state: 'erased', epoch: row.epoch + 1 };
}

/** Whether the owner has no key, and no row of one that may become active. */
const isWithoutKey = (row: UserKeyDoc | undefined): boolean => row === undefined || row.state === 'erased';

/**
 * Ends a pending row: nothing is sealed under it. The row first, by compare-and-set, as its
 * activation is one. Then its wraps in Vault, where a new registration of the same owner may come
 * in between: it stores its row and writes the document again before that row becomes active
 * (`UserKeyService`), so either this sees the row or its write to the document fails.
 * @returns whether it was this call that ended the row.
 */
export async function giveUp(
  rows: Collection<UserKeyDoc>,
  wraps: Pick<WrapStore, 'erase'>,
  row: UserKeyDoc,
): Promise<boolean> {
  const { name, ...ended } = erased(row);
  if ((await rows.replace({ ...ended, given_up: true })) === undefined) return false;
  if (name !== undefined) await eraseUnlessKept(rows, wraps, name, row._id);
  return true;
}

/** Destroys what is stored under `name` for an owner who has no key. */
export const eraseUnlessKept = (
  rows: Collection<UserKeyDoc>,
  wraps: Pick<WrapStore, 'erase'>,
  name: string,
  ownerId: string,
): Promise<void> => wraps.erase(name, ownerId, async () => isWithoutKey(await rows.find('_id', ownerId)));

/**
 * A user name belongs to one owner at a time, so the other one was given up: withdrawn while it was
 * registered, or erased. Its row is asked all the same, and ended first if it is pending, so that
 * it can never become active without its wraps.
 * @throws DomainError `conflict` where the other owner is there.
 */
export async function releaseStalePath(
  rows: Collection<UserKeyDoc>,
  wraps: Pick<WrapStore, 'erase'>,
  { username, ownerId, erasing }: WrapPathConflict,
): Promise<void> {
  const other = erasing ? undefined : await rows.find('_id', ownerId);
  if (other?.state === 'active')
    throw new DomainError('conflict', { detail: 'The path of this user name holds the key of another account.' });
  if (other?.state === 'pending') await giveUp(rows, wraps, other);
  // A tombstone is of an erase, or of a move that takes a living owner's wraps away: it is ended,
  // and what came after it is not touched.
  else if (erasing) await wraps.erase(username, ownerId, never);
  else await eraseUnlessKept(rows, wraps, username, ownerId);
}

const never = (): Promise<boolean> => Promise.resolve(false);
