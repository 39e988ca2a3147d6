import { Injectable } from '@nestjs/common';
import { UserOwned, isDomainError } from '../kernel';
import { OwnerKeys, Sealer } from '../keys/user';
import { Collection, Store } from '../store';
import { Users } from '../users';
import { GrantDoc, grantCollection } from './grants/grant.collection';
import { openGroupName, sealGroupName } from './groups/group-cipher';
import { GroupRemoval } from './groups/group-removal';
import { GroupDoc, GroupMemberDoc, groupCollection, groupMemberCollection } from './groups/group.collection';
import { removeEvery } from './rows';

const BATCH = 100;

/** What happens to a user's grants and groups when the user's key changes or the account goes. */
@Injectable()
export class OwnedSharing implements UserOwned {
  readonly name = 'sharing';
  readonly #grants: Collection<GrantDoc>;
  readonly #groups: Collection<GroupDoc>;
  readonly #members: Collection<GroupMemberDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly users: Users,
    private readonly removal: GroupRemoval,
  ) {
    this.#grants = store.collection(grantCollection);
    this.#groups = store.collection(groupCollection);
    this.#members = store.collection(groupMemberCollection);
  }

  /** Grants are no copies of keys: there is nothing to wrap. */
  rewrap(): Promise<number> {
    return Promise.resolve(0);
  }

  /** Rescans until a pass finds nothing more to do, pending groups included. A name that does not open is left as it is. */
  async reseal(userId: string): Promise<number> {
    let total = 0;
    for (;;) {
      const resealed = await this.#resealOnce(userId);
      if (resealed === 0) return total;
      total += resealed;
    }
  }

  countUnder(userId: string, version: number): Promise<number> {
    return this.#groups.count('owner_version', [userId, version]);
  }

  /** What the user granted and gathered, and what names the user: as grantee, by address, as member. */
  async erase(userId: string): Promise<number> {
    let rows = await removeEvery(this.#grants, 'owner', [userId]);
    rows += await removeEvery(this.#grants, 'grantee', ['user', userId]);
    const address = (await this.users.byId(userId))?.verified_email;
    if (address !== undefined) rows += await removeEvery(this.#grants, 'pending', [address]);
    rows += await removeEvery(this.#members, 'user', [userId]);
    rows += await this.#eraseGroups(userId);
    return rows + (await removeEvery(this.#members, 'owner', [userId]));
  }

  async #eraseGroups(userId: string): Promise<number> {
    let rows = 0;
    for (;;) {
      const forged: string[] = [];
      const page = await this.#groups.list('owner', [userId], { limit: BATCH, onForged: (id) => forged.push(id) });
      for (const id of [...page.items.map(({ _id }) => _id), ...forged]) rows += await this.removal.finish(id);
      if (page.items.length + forged.length === 0 && page.next === undefined) return rows;
    }
  }

  async #resealOnce(userId: string): Promise<number> {
    let resealed = 0;
    let after: string | undefined;
    do {
      const options = { limit: BATCH, onForged: () => undefined, ...(after !== undefined && { after }) };
      const page = await this.#groups.list('owner_version', [userId], options);
      // The rows were read before the key row: one that changes meanwhile is not held by its compare-and-set, and a later pass finds it.
      resealed += await this.sealer.with(userId, (keys) => this.#groups.replaceMany(renewed(keys, page.items)));
      after = page.next;
    } while (after !== undefined);
    return resealed;
  }
}

function renewed(keys: OwnerKeys, rows: readonly GroupDoc[]): GroupDoc[] {
  return rows
    .filter((row) => row.key_version < keys.version)
    .flatMap((row) => {
      try {
        return [{ ...row, ...sealGroupName(keys, row._id, openGroupName(keys, row)) }];
      } catch (error) {
        if (isDomainError(error, 'decryption_failed')) return [];
        throw error;
      }
    });
}
