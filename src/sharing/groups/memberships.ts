import { Injectable } from '@nestjs/common';
import { Turns } from '../../kernel';
import { Collection, Store, everyRow } from '../../store';
import { GroupDoc, GroupMemberDoc, groupCollection, groupMemberCollection } from './group.collection';

/** Groups looked up at once. */
const AT_ONCE = 16;

/** Who is in which group, read anew each time: who was taken out of one is out at the next request, on every replica. */
@Injectable()
export class Memberships {
  readonly #groups: Collection<GroupDoc>;
  readonly #members: Collection<GroupMemberDoc>;

  constructor(store: Store) {
    this.#groups = store.collection(groupCollection);
    this.#members = store.collection(groupMemberCollection);
  }

  /** Whether the user is in any group at all: spares the look into each of a resource's groups. */
  async isInAny(userId: string): Promise<boolean> {
    for await (const _row of everyRow(this.#members, 'user', [userId])) return true;
    return false;
  }

  /** Whether the user is in a group of this owner. */
  async isIn(group: { readonly id: string; readonly ownerId: string }, userId: string): Promise<boolean> {
    const member = await this.#members.find('member', group.id, userId);
    return member?.owner_id === group.ownerId && (await this.#active(group.id))?.owner_id === group.ownerId;
  }

  /** The groups that the user is in: id -> its owner. */
  async of(userId: string): Promise<ReadonlyMap<string, string>> {
    const owners = new Map<string, string>();
    const turns = new Turns();
    let some: GroupMemberDoc[] = [];
    const look = async (): Promise<void> => {
      const groups = await Promise.all(some.map(({ group_id }) => this.#active(group_id)));
      some.forEach(({ group_id, owner_id }, at) => {
        if (groups[at]?.owner_id === owner_id) owners.set(group_id, owner_id);
      });
      some = [];
      await turns.pause();
    };
    for await (const member of everyRow(this.#members, 'user', [userId])) {
      some.push(member);
      if (some.length === AT_ONCE) await look();
    }
    await look();
    return owners;
  }

  async #active(groupId: string): Promise<GroupDoc | undefined> {
    const group = await this.#groups.find('_id', groupId);
    return group?.state === 'active' ? group : undefined;
  }
}
