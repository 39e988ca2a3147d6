import { Injectable } from '@nestjs/common';
import { Clock, failpoint } from '../../kernel';
import { Collection, Store, update, removeEvery } from '../../store';
import { GrantDoc, grantCollection } from '../grants/grant.collection';
import { GroupDoc, GroupMemberDoc, groupCollection, groupMemberCollection } from './group.collection';

/** How a group goes: its state first, which ends each access through it, then what names it, then its row. May stop anywhere. */
@Injectable()
export class GroupRemoval {
  readonly #groups: Collection<GroupDoc>;
  readonly #members: Collection<GroupMemberDoc>;
  readonly #grants: Collection<GrantDoc>;

  constructor(
    store: Store,
    private readonly clock: Clock,
  ) {
    this.#groups = store.collection(groupCollection);
    this.#members = store.collection(groupMemberCollection);
    this.#grants = store.collection(grantCollection);
  }

  /** From here on nobody is in the group and its name is free. False where there was no such group. */
  async begin(groupId: string): Promise<boolean> {
    const outcome = { begun: false };
    await update(this.#groups, groupId, (group) => {
      outcome.begun = group.state === 'active';
      return outcome.begun ? this.#deleting(group) : undefined;
    });
    failpoint('group.deleting');
    return outcome.begun;
  }

  /** May be repeated, and by several at once. Returns how many rows went. */
  async finish(groupId: string): Promise<number> {
    const grants = await removeEvery(this.#grants, 'grantee', ['group', groupId]);
    failpoint('group.grants-removed');
    const members = await removeEvery(this.#members, 'group', [groupId]);
    return grants + members + ((await this.#groups.remove(groupId)) ? 1 : 0);
  }

  #deleting(group: GroupDoc): GroupDoc {
    const { name_index: _name, ...rest } = group;
    return { ...rest, state: 'deleting', changing_since: this.clock.now() };
  }
}
