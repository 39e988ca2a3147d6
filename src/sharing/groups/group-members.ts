import { Injectable } from '@nestjs/common';
import { AuditSink, BeginAct, Clock, DomainError, Principal, auditedAfterLook, isoTime, newId } from '../../kernel';
import { Collection, DuplicateKey, Store, scanRows, retryOnConflict } from '../../store';
import { UserDoc, Users, parseUsername, isRegistered } from '../../users';
import { GroupMemberDoc, groupMemberCollection } from './group.collection';
import { Groups, groupIntent, notFound, tooMany } from './groups';

export interface MemberView {
  readonly username: string;
  readonly added_at: string;
}

/** Accounts in one group. The limit counts against the group's owner, never against a member. */
export const MAX_MEMBERS = 1_000;

interface NewMember {
  readonly groupId: string;
  readonly ownerId: string;
  readonly userId: string;
}

/** Members of a group, for its owner. */
@Injectable()
export class GroupMembers {
  readonly #members: Collection<GroupMemberDoc>;

  constructor(
    store: Store,
    private readonly groups: Groups,
    private readonly users: Users,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {
    this.#members = store.collection(groupMemberCollection);
  }

  /** Longest in it first. @throws DomainError `not_found`. */
  async list(caller: Principal, groupId: string): Promise<MemberView[]> {
    await this.groups.owned(caller.ownerId, groupId);
    const members: MemberView[] = [];
    for await (const row of scanRows(this.#members, 'group', [groupId])) {
      const user = await this.users.byId(row.user_id);
      if (isRegistered(user)) members.push({ username: user.username, added_at: isoTime(row.created_at) });
    }
    return members;
  }

  /**
   * Nothing changes for one who is in it.
   * @throws DomainError `not_found`: no such group of the caller, or no such account.
   */
  async add(caller: Principal, groupId: string, username: string): Promise<void> {
    await auditedAfterLook(this.audit, groupIntent('group.member-add', caller, groupId), async (begin) => {
      const user = await this.#known(caller, groupId, username);
      const member = { groupId, ownerId: caller.ownerId, userId: user._id };
      await retryOnConflict(() => this.#added(member, () => begin({ member: user._id })));
      // A group that was removed meanwhile may have left this row.
      await this.groups.owned(caller.ownerId, groupId).catch(async (gone: unknown) => {
        await this.#remove(groupId, user._id);
        throw gone;
      });
    });
  }

  /**
   * From the next request on, on every replica.
   * @throws DomainError `not_found`: as `add`, or the account is not in the group.
   */
  async remove(caller: Principal, groupId: string, username: string): Promise<void> {
    await auditedAfterLook(this.audit, groupIntent('group.member-remove', caller, groupId), async (begin) => {
      const user = await this.#known(caller, groupId, username);
      if ((await this.#members.find('member', groupId, user._id)) === undefined) throw notFound();
      await begin({ member: user._id });
      if (!(await this.#remove(groupId, user._id))) throw notFound();
    });
  }

  async #known(caller: Principal, groupId: string, name: string): Promise<UserDoc> {
    await this.groups.owned(caller.ownerId, groupId);
    const username = parseUsername(name);
    const user = username && (await this.users.byUsername(username));
    if (!isRegistered(user)) throw new DomainError('not_found', { detail: 'There is no account of this name.' });
    return user;
  }

  /**
   * Counts again after the insert, so that concurrent requests do not exceed the limit together;
   * undefined where they did.
   */
  async #added({ groupId, ownerId, userId }: NewMember, begin: BeginAct): Promise<true | undefined> {
    if ((await this.#members.find('member', groupId, userId)) !== undefined) {
      await begin();
      return true;
    }
    if ((await this.#count(groupId)) >= MAX_MEMBERS) throw tooMany('members', MAX_MEMBERS);
    await begin();
    const member = { group_id: groupId, owner_id: ownerId, user_id: userId, created_at: this.clock.now() };
    const row = await this.#members.insert({ _id: newId(), ...member }).catch(unlessThere);
    if (row === undefined || (await this.#count(groupId)) <= MAX_MEMBERS) return true;
    await this.#members.remove(row._id);
    return undefined;
  }

  #count(groupId: string): Promise<number> {
    return this.#members.count('group', [groupId], MAX_MEMBERS + 1);
  }

  async #remove(groupId: string, userId: string): Promise<boolean> {
    const row = await this.#members.find('member', groupId, userId);
    return row !== undefined && this.#members.remove(row._id);
  }
}

function unlessThere(error: unknown): undefined {
  if (!(error instanceof DuplicateKey)) throw error;
}
