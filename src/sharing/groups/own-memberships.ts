import { Injectable } from '@nestjs/common';
import { AuditSink, Principal, auditedAfterLook, isoTime, pickInTurns } from '../../kernel';
import { Sealer, openedName } from '../../keys/user-keys';
import { Collection, Position, Store } from '../../store';
import { Users } from '../../users';
import { openGroupName } from './group-cipher';
import { isThere } from './group-members';
import { GroupDoc, GroupMemberDoc, groupCollection, groupMemberCollection } from './group.collection';
import { groupIntent, notFound } from './groups';

export interface MembershipView {
  readonly group_id: string;
  /** Null where the stored name does not open: the membership can be ended all the same. */
  readonly name: string | null;
  /** User name of the group's owner. */
  readonly owner: string;
  readonly added_at: string;
}

/** The groups of others that an account was taken into, as that account sees and leaves them. */
@Injectable()
export class OwnMemberships {
  readonly #groups: Collection<GroupDoc>;
  readonly #members: Collection<GroupMemberDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly users: Users,
    private readonly audit: AuditSink,
  ) {
    this.#groups = store.collection(groupCollection);
    this.#members = store.collection(groupMemberCollection);
  }

  /** Longest in it first. A page may hold fewer than `limit`, even none, and still have a next one. */
  async list(caller: Principal, { limit, after }: { limit: number; after: Position | undefined }) {
    const options = { limit, ...(after !== undefined && { after }) };
    const page = await this.#members.list('user', [caller.ownerId], options);
    return { memberships: await pickInTurns(page.items, (row) => this.#view(row)), next: page.next };
  }

  /** From the next request on, on every replica. @throws DomainError `not_found`: no such group, or the caller is not in it. */
  async leave(caller: Principal, groupId: string): Promise<void> {
    await auditedAfterLook(this.audit, groupIntent('group.leave', caller, groupId), async (begin) => {
      const member = await this.#members.find('member', groupId, caller.ownerId);
      if (member === undefined || (await this.#groupOf(member)) === undefined) throw notFound();
      await begin();
      if (!(await this.#members.remove(member._id))) throw notFound();
    });
  }

  /** Undefined where the group or its owner is not there any more. */
  async #view(member: GroupMemberDoc): Promise<MembershipView | undefined> {
    const [group, owner] = await Promise.all([this.#groupOf(member), this.users.byId(member.owner_id)]);
    if (group === undefined || !isThere(owner)) return undefined;
    const name = await openedName(this.sealer, group.owner_id, (keys) => openGroupName(keys, group));
    if (name === undefined) return undefined;
    return { group_id: group._id, name, owner: owner.username, added_at: isoTime(member.created_at) };
  }

  async #groupOf({ group_id, owner_id }: GroupMemberDoc): Promise<GroupDoc | undefined> {
    const group = await this.#groups.find('_id', group_id);
    return group?.state === 'active' && group.owner_id === owner_id ? group : undefined;
  }
}
