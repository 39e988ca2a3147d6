import { Injectable } from '@nestjs/common';
import { Clock, MINUTE, failpoint } from '../../kernel';
import { Collection, Store, removeEvery, scanRows, update } from '../../store';
import { GrantDoc, grantCollection } from '../grants/grant.collection';
import { GroupDoc, GroupMemberDoc, groupCollection, groupMemberCollection } from './group.collection';

/**
 * Removes groups: the state first, which ends each access, then grants and members, then the row.
 * May stop anywhere.
 */
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

  /**
   * From here on nobody is in the group and its name is free. False where there was no such group.
   */
  async begin(groupId: string): Promise<boolean> {
    const outcome = { begun: false };
    await update(this.#groups, groupId, (group) => {
      outcome.begun = group.state === 'active';
      return outcome.begun ? this.#deleting(group) : undefined;
    });
    failpoint('group.deleting');
    return outcome.begun;
  }

  /** Safe to repeat, and for several at once. Returns how many rows were removed. */
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

/**
 * Far longer than any request. A writer that slept longer finds its row gone and responds with 503.
 */
const ABANDONED_AFTER = 15 * MINUTE;

/** Completes removals of groups that stopped half-way, and removes groups whose creation did. */
@Injectable()
export class GroupsSweeper {
  readonly #groups: Collection<GroupDoc>;

  constructor(
    store: Store,
    private readonly removal: GroupRemoval,
    private readonly clock: Clock,
  ) {
    this.#groups = store.collection(groupCollection);
  }

  async sweep(): Promise<void> {
    const before = this.clock.now() - ABANDONED_AFTER;
    for await (const group of scanRows(this.#groups, 'changing', [])) {
      if (group.state === 'deleting') await this.removal.finish(group._id);
      // With the revision, so that a group that was activated meanwhile stays.
      else if ((group.changing_since ?? Infinity) < before) await this.#groups.remove(group._id, group.rev);
    }
  }
}
