import { Injectable } from '@nestjs/common';
import { UserDataHandler } from '../kernel';
import { EncryptedRows, Sealer } from '../keys/user-keys';
import { Collection, Store, removeEvery, drain } from '../store';
import { Users } from '../users';
import { GrantDoc, grantCollection } from './grants/grant.collection';
import { GroupRemoval } from './groups/group-removal';
import {
  GroupDoc,
  GroupMemberDoc,
  groupCollection,
  groupMemberCollection,
  openGroupName,
  sealGroupName,
} from './groups/group.collection';

/** What happens to a user's grants and groups when the user's key changes or the account goes. */
@Injectable()
export class SharingUserData implements UserDataHandler {
  readonly name = 'sharing';
  readonly collections = [groupCollection.name];
  readonly #grants: Collection<GrantDoc>;
  readonly #groups: Collection<GroupDoc>;
  readonly #encrypted: EncryptedRows<GroupDoc>;
  readonly #members: Collection<GroupMemberDoc>;

  constructor(
    store: Store,
    sealer: Sealer,
    private readonly users: Users,
    private readonly removal: GroupRemoval,
  ) {
    this.#grants = store.collection(grantCollection);
    this.#groups = store.collection(groupCollection);
    this.#members = store.collection(groupMemberCollection);
    this.#encrypted = new EncryptedRows(sealer, {
      rows: this.#groups,
      byVersion: 'owner_version',
      byOwner: 'owner',
      versionOf: (row) => row.key_version,
      envelopesOf: (row) => [row.name],
      reencrypt: (keys, row) => ({ ...row, ...sealGroupName(keys, row._id, openGroupName(keys, row)) }),
    });
  }

  async reencrypt(userId: string): Promise<number> {
    return (await this.#encrypted.reencrypt(userId)).count;
  }

  countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    return this.#encrypted.countByKeyVersion(userId, versions);
  }

  /**
   * What the user granted and gathered, and what names the user: as grantee, by address, as member.
   */
  async eraseUser(userId: string): Promise<number> {
    let rows = await removeEvery(this.#grants, 'owner', [userId]);
    rows += await removeEvery(this.#grants, 'grantee', ['user', userId]);
    const address = (await this.users.byId(userId))?.verified_email;
    if (address !== undefined) rows += await removeEvery(this.#grants, 'pending', [address]);
    rows += await removeEvery(this.#members, 'user', [userId]);
    rows += await this.#eraseGroups(userId);
    return rows + (await removeEvery(this.#members, 'owner', [userId]));
  }

  #eraseGroups(userId: string): Promise<number> {
    const finish = (id: string): Promise<number> => this.removal.finish(id);
    return drain(this.#groups, 'owner', [userId], { row: ({ _id }) => finish(_id), forged: finish });
  }
}
