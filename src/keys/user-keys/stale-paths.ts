import { DomainError } from '../../kernel';
import type { Collection } from '../../store';
import { eraseUnlessKept, giveUp } from './given-up-keys';
import type { WrapPathConflict, WrapStore } from './wrap-store';
import type { UserKeyDoc } from './user-keys.collection';

/**
 * A user name belongs to one owner at a time, so the other one was given up: withdrawn while it was registered, or erased. Its row is
 * asked all the same, and ended first if it is pending, so that it can never become active without its wraps.
 * @throws DomainError `conflict` where the other owner is there.
 */
export async function releaseStalePath(
  rows: Collection<UserKeyDoc>,
  home: Pick<WrapStore, 'erase'>,
  { username, ownerId, erasing }: WrapPathConflict,
): Promise<void> {
  const other = erasing ? undefined : await rows.find('_id', ownerId);
  if (other?.state === 'active')
    throw new DomainError('conflict', { detail: 'The path of this user name holds the key of another account.' });
  if (other?.state === 'pending') await giveUp(rows, home, other);
  // A tombstone is of an erase, or of a move that takes a living owner's wraps away: it is ended, and what came after it is not touched.
  else if (erasing) await home.erase(username, ownerId, never);
  else await eraseUnlessKept(rows, home, username, ownerId);
}

const never = (): Promise<boolean> => Promise.resolve(false);
